import { expect, test } from "bun:test";
import { compileTemplate } from "./template.ts";
import { strict } from "./template-functions.ts";

const data = {
  Name: "web",
  State: { Status: "running", ExitCode: 0 },
  Ports: { "80/tcp": [{ HostPort: "8080" }] },
  List: ["a", "b"],
  Empty: [],
  None: null,
  Labels: { a: "b" },
  Big: 1790000000123456789n,
};

const cases: [string, string][] = [
  ["{{.Name}}", "web"],
  ["{{ .State.Status }}/{{.State.ExitCode}}", "running/0"],
  ["{{json .State}}", '{"Status":"running","ExitCode":0}'],
  ["{{json .None}}", "null"],
  ['{{(index (index .Ports "80/tcp") 0).HostPort}}', "8080"],
  ["{{index .List 1}}", "b"],
  ["{{range .List}}<{{.}}>{{end}}", "<a><b>"],
  ["{{range.List}}{{.}}{{end}}{{if.Name}}!{{end}}{{len.List}}", "ab!2"],
  ["{{range $i, $v := .List}}{{$i}}{{$v}} {{end}}", "0a 1b "],
  ["{{range $port, $to := .Ports}}{{$port}}{{(index $to 0).HostPort}}{{end}}", "80/tcp8080"],
  ["{{range .Empty}}x{{else}}none{{end}}", "none"],
  ['{{range .List}}{{.}}{{if eq . "a"}}{{break}}{{end}}!{{end}}', "a"],
  ['{{range .List}}{{if eq . "a"}}{{continue}}{{end}}{{.}}!{{end}}', "b!"],
  ["{{range .List}}{{range $.List}}{{.}}{{break}}{{end}}-{{end}}", "a-a-"],
  ['{{define "one"}}<{{.}}>{{end}}{{range .List}}{{template "one" .}}{{end}}', "<a><b>"],
  ['{{template "none"}}.{{define "none"}}{{if .}}x{{else}}nothing{{end}}{{end}}', "nothing."],
  ['{{block "name" .Name}}[{{.}}]{{end}}{{template "name" .List}}', "[web][[a b]]"],
  ["{{with .Empty}}x{{else with .Name}}{{.}}{{else}}z{{end}}", "web"],
  ["{{with .Empty}}x{{else with .None}}y{{else}}z{{end}}", "z"],
  ["{{if .Empty}}x{{else if .Name}}y{{else}}z{{end}}", "y"],
  ['{{if eq .Name "web"}}yes{{end}}', "yes"],
  ['{{if and .Name (ne .Name "x")}}yes{{end}}', "yes"],
  ["{{with .State}}{{.Status}}{{end}}", "running"],
  ['{{join .List ", "}}', "a, b"],
  ['{{.Name | upper | printf "%s-%d" }}', "WEB-%!d(MISSING)"],
  ['{{printf "%-5s|%q" .Name .Name}}', 'web  |"web"'],
  ["{{len .List}}{{println}}", "2\n"],
  ['{{.Labels.nothing}}|{{index .Labels "nothing"}}', "<no value>|"],
  ["{{.name}} {{.State.exitcode}}", "web 0"],
  ["{{json .Big}} {{.Big}} {{eq .Big 5}}", "1790000000123456789 1790000000123456789 false"],
  [
    '{{printf "%-10s|%5d|%05d|%q|%.2f|%v|%x|%T|%s" "a" 5 7 "q" 1.5 true 255 "s"}}',
    'a         |    5|00007|"q"|1.50|true|ff|string|%!s(MISSING)',
  ],
  [
    '{{title "ab cd"}}{{pad "x" 2 2}}{{truncate "abcdef" 3}}{{split "a,b" ","}}{{lower "AB"}}',
    "Ab Cd  x  abc[a b]ab",
  ],
  ['{{print 1 2 "a" "b" 3}}|{{println "a" 1}}', "1 2ab3|a 1\n"],
  ['{{html "<a>"}} {{urlquery "a b"}} {{slice "abcdef" 1 3}} {{slice .List 1}}', "&lt;a&gt; a+b bc [b]"],
  [
    '{{lt 1 2}} {{gt "b" "a"}} {{ne 1 2}} {{ge 2 2}} {{not true}} {{or "" "x"}} {{and 1 0}}',
    "true true true true false x 0",
  ],
  ["{{$x := 5}}{{if true}}{{$x = 6}}{{end}}{{$x}}", "6"],
  ["{{$x := 5}}{{if true}}{{$x := 6}}{{end}}{{$x}}", "5"],
  ["{{range 2}}{{.}}{{end}}{{range $i, $e := .List}}{{if $i}}, {{end}}{{$e}}{{end}}", "01a, b"],
  ["{{with .Empty}}x{{else with .Name}}{{.}}{{end}}", "web"],
  ['{{.List | len}} {{(len .List)}} {{len "é"}}', "2 2 2"],
  ["{{.None}}", "<nil>"],
  ["{{.List}} {{.State}}", "[a b] map[ExitCode:0 Status:running]"],
  ["a {{- /* nothing */ -}} b", "ab"],
  ["{{$.Name}}", "web"],
  ["{{$x := .Name}}{{$x}}", "web"],
  ["{{.Name}}\\t{{.Name}}", "web\tweb"],
];
for (const [template, expected] of cases)
  test(`${template} gives ${JSON.stringify(expected)}`, () => {
    expect(compileTemplate(template)(data)).toBe(expected);
  });

for (const template of [
  "{{",
  "{{.Name",
  "{{if .Name}}",
  "{{end}}",
  "{{nosuch .Name}}",
  "{{.Name .Name}}",
  "{{(.Name}}",
  "{{}}",
  "{{#}}",
  "{{break}}",
  "{{if .Name}}{{continue}}{{end}}",
  '{{range .List}}{{block "b" .}}{{break}}{{end}}{{end}}',
  '{{if .Name}}{{define "x"}}{{end}}{{end}}',
  "{{define x}}{{end}}",
  '{{define "x"}}',
  '{{template "nowhere"}}',
  '{{define "self"}}{{template "self"}}{{end}}{{template "self"}}',
])
  test(`${template} is refused`, () => {
    expect(() => compileTemplate(template)(data)).toThrow("template");
  });

test("what is not there is told as Go tells it", () => {
  const error = (template: string) => () => compileTemplate(template)(data);
  expect(error("{{.State.Health.Status}}")).toThrow(
    'template parsing error: template: :1:8: executing "" at <.State.Health.Status>: map has no entry for key "Health"',
  );
  expect(error("{{index .List 5}}")).toThrow(
    'template parsing error: template: :1:2: executing "" at <index>: error calling index: index out of range: 5',
  );
  expect(error("{{.Name.First}}")).toThrow("can't evaluate field First");
  expect(error("{{$y = 1}}")).toThrow('undefined variable "$y"');
});

test("a row's fields are all there are", () => {
  expect(() => compileTemplate("{{.Nmae}}")(strict({ Name: "x" }))).toThrow("can't evaluate field Nmae");
});
