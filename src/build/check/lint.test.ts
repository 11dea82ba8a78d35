import { expect, test } from "bun:test";
import { parseDockerfile } from "#build/language/dockerfile.ts";
import { stagesOf } from "#build/language/stage-graph.ts";
import { lint } from "./lint.ts";
import { checkSettings, ruleUrl } from "./lint-rules.ts";
import { ignoredFiles } from "./lint-source.ts";

function warnings(text: string, o: { ignored?: string[]; env?: string[]; target?: string } = {}): string[] {
  const [dockerfile, diagnostics] = parseDockerfile(text);
  const { warnings } = lint({
    ...{ dockerfile, diagnostics, stages: stagesOf(dockerfile), buildArgs: {}, settings: undefined },
    target: o.target,
    platformArgs: { TARGETPLATFORM: "linux/amd64", TARGETARCH: "amd64" },
    baseOf: () => ({
      ...{ architecture: "amd64", os: "linux", rootfs: { type: "layers", diff_ids: [] }, history: [] },
      config: { Env: ["PATH=/bin", ...(o.env ?? [])] },
    }),
    ignored: o.ignored === undefined ? undefined : ignoredFiles(o.ignored),
  });
  return warnings.map(({ rule, detail, lines }) => `${lines[0]?.start} ${rule}: ${detail}`);
}

const cases: [dockerfile: string, ...expected: string[]][] = [
  ['FROM a\nRUN echo $x\nCMD ["a"]\n'],
  ["FROM a AS Build\n", "1 StageNameCasing: Stage name 'Build' should be lowercase"],
  ["FROM a as b\n", "1 FromAsCasing: 'as' and 'FROM' keywords' casing do not match"],
  ["from a as b\nrun x\n"],
  ["FROM a\nRUN x \\\n\n  y\n", "4 NoEmptyContinuation: Empty continuation line"],
  [
    "FROM a\nRUN x\ncopy a b\n",
    "3 ConsistentInstructionCasing: Command 'copy' should match the case of the command majority (uppercase)",
  ],
  [
    "FROM a AS b\nFROM c AS b\n",
    '2 DuplicateStageName: Duplicate stage name "b", stage names should be unique',
  ],
  [
    "FROM a AS scratch\n",
    '1 ReservedStageName: Stage name should not use the same name as reserved stage "scratch"',
  ],
  [
    "FROM a\nCMD echo\n",
    "2 JSONArgsRecommended: JSON arguments recommended for CMD to prevent unintended behavior related to OS signals",
  ],
  ['FROM a\nSHELL ["/bin/bash", "-c"]\nCMD echo\n'],
  [
    "FROM a\nMAINTAINER me\n",
    "2 MaintainerDeprecated: Maintainer instruction is deprecated in favor of using label",
  ],
  [
    "ARG VERSION=1\nFROM a:${VERSON}\n",
    "2 InvalidDefaultArgInFrom: Default value for ARG a:${VERSON} results in empty or invalid base image name",
    "2 UndefinedArgInFrom: FROM argument 'VERSON' is not declared (did you mean VERSION?)",
  ],
  [
    "FROM a\nWORKDIR app\n",
    '2 WorkdirRelativePath: Relative workdir "app" can have unexpected results if the base image changes',
  ],
  ["FROM a\nWORKDIR /x\nWORKDIR app\n"],
  [
    "FROM a\nARG NAME\nCOPY $NAMES /x\n",
    "3 UndefinedVar: Usage of undefined variable '$NAMES' (did you mean $NAME?)",
  ],
  ["FROM a\nCOPY ${NAMES:-x} $PATH /x\n"],
  [
    'FROM a\nCMD ["a"]\nCMD ["b"]\n',
    "2 MultipleInstructionsDisallowed: Multiple CMD instructions should not be used in the same stage because only the last one will be used",
  ],
  [
    "FROM a\nENV mode value\n",
    '2 LegacyKeyValueFormat: "ENV key=value" should be used instead of legacy "ENV key value" format',
  ],
  [
    "FROM --platform=$TARGETPLATFORM a\n",
    "1 RedundantTargetPlatform: Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior",
  ],
  [
    "FROM --platform=linux/arm64 a\n",
    '1 FromPlatformFlagConstDisallowed: FROM --platform flag should not use constant value "linux/arm64"',
  ],
  ["FROM --platform=linux/arm64 a AS build-arm64\n"],
  [
    "FROM a\nARG DB_PASSWORD\nENV API_TOKEN=x PUBLIC_KEY=y\n",
    '2 SecretsUsedInArgOrEnv: Do not use ARG or ENV instructions for sensitive data (ARG "DB_PASSWORD")',
    '3 SecretsUsedInArgOrEnv: Do not use ARG or ENV instructions for sensitive data (ENV "API_TOKEN")',
  ],
  [
    "ARG TAG\nFROM a:${TAG}\n",
    "2 InvalidDefaultArgInFrom: Default value for ARG a:${TAG} results in empty or invalid base image name",
  ],
  [
    "FROM a\nEXPOSE 80/TCP 127.0.0.1:80:80\n",
    "2 ExposeInvalidFormat: EXPOSE instruction should not define an IP address or host-port mapping, found '127.0.0.1:80:80'",
    "2 ExposeProtoCasing: Defined protocol '80/TCP' in EXPOSE instruction should be lowercase",
  ],
  ["# check=skip=MaintainerDeprecated\nFROM a\nMAINTAINER me\n"],
  [
    "# check=experimental=all\n# what it builds\nFROM a AS b\n",
    "3 InvalidDefinitionDescription: Comment for FROM should follow the format: `# b <description>`",
  ],
  // Of what stands in for it, and for one instruction.
  ["FROM a\n# check=skip=MaintainerDeprecated // an old file\nMAINTAINER me\n"],
  [
    "FROM a\n# check=skip=SecretsUsedInArgOrEnv\nENV TOKEN=x\nENV TOKEN=y\n",
    '4 SecretsUsedInArgOrEnv: Do not use ARG or ENV instructions for sensitive data (ENV "TOKEN")',
  ],
  ["ARG TOKEN=x\nFROM a\n"],
  ["# check=skip=all\nFROM a AS B\nmaintainer me\n"],
  [
    "# check=skip=all;experimental=InvalidDefinitionDescription\n# other words\nARG a=1 b=2\nFROM a\n",
    "3 InvalidDefinitionDescription: Comment for ARG should follow the format: `# <arg_key> <description>`",
  ],
  ["# check=experimental=all\n# b the second\nARG a=1 b=2\n# x\n#\nARG c\nFROM a\n"],
  ["FROM a\n# check=skip=all\n\nMAINTAINER me\n"],
  // Letters.
  ["ARG a\nARG b\narg c\nfrom a\n"],
  [
    "From a as b\n",
    "1 ConsistentInstructionCasing: Command 'From' should match the case of the command majority (uppercase)",
  ],
  ["from a AS b\n", "1 FromAsCasing: 'AS' and 'from' keywords' casing do not match"],
  [
    "from a\ncmd x\n",
    "2 JSONArgsRecommended: JSON arguments recommended for cmd to prevent unintended behavior related to OS signals",
  ],
  [
    "FROM a AS Two\nFROM a AS two\n",
    "1 StageNameCasing: Stage name 'Two' should be lowercase",
    '2 DuplicateStageName: Duplicate stage name "two", stage names should be unique',
  ],
  // Directories.
  [
    "FROM a\nWORKDIR x\nWORKDIR y\n",
    '2 WorkdirRelativePath: Relative workdir "x" can have unexpected results if the base image changes',
  ],
  ["FROM a AS b\nWORKDIR /x\nFROM b\nWORKDIR y\n"],
  // Platforms.
  ["FROM --platform=linux/arm64 a AS build-linux\n"],
  ["FROM --platform=$NONE a\n", "1 UndefinedArgInFrom: FROM argument 'NONE' is not declared"],
  // Variables, wherever they may stand.
  ["FROM a\nEXPOSE $PORT\nRUN echo $X\n"],
  ["FROM a\nRUN --mount=target=/$DIR true\n", "2 UndefinedVar: Usage of undefined variable '$DIR'"],
  [
    "FROM a\nCOPY --chmod=$MODE <<EOF /x\n$BODY\nEOF\n",
    "2 UndefinedVar: Usage of undefined variable '$BODY'",
    "2 UndefinedVar: Usage of undefined variable '$MODE'",
  ],
  ["FROM a\nARG A=1\nENV B=$A C=${D:-x} E=$OTHER\n", "3 UndefinedVar: Usage of undefined variable '$OTHER'"],
  ['FROM a\nLABEL "a b"=c\n'],
];

for (const [dockerfile, ...expected] of cases)
  test(JSON.stringify(dockerfile), () => expect(warnings(dockerfile).sort()).toEqual(expected));

test("a source that .dockerignore leaves out", () => {
  expect(warnings("FROM a\nCOPY a.txt b.md /x/\n", { ignored: ["*.txt"] })).toEqual([
    '2 CopyIgnoredFile: Attempting to Copy file "a.txt" that is excluded by .dockerignore',
  ]);
});

test("what .dockerignore leaves out, all of it, none of it", () => {
  expect(warnings("FROM a\nCOPY . /\nADD ./b.md /\n", { ignored: ["*"] })).toEqual([
    '2 CopyIgnoredFile: Attempting to Copy file "." that is excluded by .dockerignore',
    '3 CopyIgnoredFile: Attempting to Add file "b.md" that is excluded by .dockerignore',
  ]);
  expect(warnings("FROM a\nCOPY . /\n", { ignored: [".*"] })).toEqual([]);
  expect(warnings("FROM a\nCOPY --from=b x /\nCOPY *.md /\n", { ignored: ["x", "*.md"] })).toHaveLength(1);
  expect(warnings("FROM a\nCOPY a.txt /\n", { ignored: ["*.txt", "!a.txt"] })).toEqual([]);
});

test("stages that are not built are not looked at, but for their names", () => {
  const text = "FROM a AS One\nCMD x\nFROM a AS two\nCMD y\nARG B=two\nFROM two AS three\n";
  const rules = (target?: string) =>
    warnings(text, target === undefined ? {} : { target }).map((each) => each.split(":", 1)[0]);
  expect(rules()).toEqual(["1 StageNameCasing", "2 JSONArgsRecommended", "4 JSONArgsRecommended"]);
  expect(rules("three")).toEqual(["1 StageNameCasing", "4 JSONArgsRecommended"]);
  expect(rules("")).toEqual(rules("three"));
});

test("a rule's address", () => {
  expect(ruleUrl("JSONArgsRecommended")).toBe(
    "https://docs.docker.com/go/dockerfile/rule/json-args-recommended/",
  );
  expect(ruleUrl("FromAsCasing")).toBe("https://docs.docker.com/go/dockerfile/rule/from-as-casing/");
});

test("settings", () => {
  expect(checkSettings("skip=all;error=true")).toMatchObject({ error: true });
  expect(checkSettings("skip=all").wants("UndefinedVar")).toBe(false);
  expect(checkSettings("").wants("InvalidDefinitionDescription")).toBe(false);
  expect(checkSettings("error=1").error).toBe(true);
  expect(() => checkSettings("skip")).toThrow('invalid check option "skip"');
  expect(() => checkSettings("skp=all")).toThrow('invalid check option "skp"');
  expect(() => checkSettings("error=maybe")).toThrow('failed to parse check option "error=maybe"');
});
