import { expect, test } from "bun:test";
import { compileTemplate, strict } from "./template.ts";

const data = {
  Name: "web",
  State: { Status: "running", ExitCode: 0 },
  Ports: { "80/tcp": [{ HostPort: "8080" }] },
  List: ["a", "b"],
  Empty: [],
  None: null,
};

const cases: [string, string][] = [
  ["{{.Name}}", "web"],
  ["{{ .State.Status }}/{{.State.ExitCode}}", "running/0"],
  ["{{json .State}}", '{"Status":"running","ExitCode":0}'],
  ["{{json .None}}", "null"],
  ['{{(index (index .Ports "80/tcp") 0).HostPort}}', "8080"],
  ["{{index .List 1}}", "b"],
  ["{{range .List}}<{{.}}>{{end}}", "<a><b>"],
  ["{{range $i, $v := .List}}{{$i}}{{$v}} {{end}}", "0a 1b "],
  ["{{range $port, $to := .Ports}}{{$port}}{{(index $to 0).HostPort}}{{end}}", "80/tcp8080"],
  ["{{range .Empty}}x{{else}}none{{end}}", "none"],
  ["{{if .Empty}}x{{else if .Name}}y{{else}}z{{end}}", "y"],
  ['{{if eq .Name "web"}}yes{{end}}', "yes"],
  ['{{if and .Name (ne .Name "x")}}yes{{end}}', "yes"],
  ["{{with .State}}{{.Status}}{{end}}", "running"],
  ['{{join .List ", "}}', "a, b"],
  ['{{.Name | upper | printf "%s-%d" }}', "WEB-<no value>"],
  ['{{printf "%-5s|%q" .Name .Name}}', 'web  |"web"'],
  ["{{len .List}}{{println}}", "2\n"],
  ["{{.Nothing}}", "<no value>"],
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
])
  test(`${template} is refused`, () => {
    expect(() => compileTemplate(template)(data)).toThrow("template");
  });

test("a row's fields are all there are", () => {
  expect(() => compileTemplate("{{.Nmae}}")(strict({ Name: "x" }))).toThrow("can't evaluate field Nmae");
});
