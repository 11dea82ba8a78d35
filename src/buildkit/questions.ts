/**
 * What can be asked of a Dockerfile instead of building it (`--check`, `--call`), as BuildKit's clients read it.
 * Source of the shapes: moby/buildkit frontend/subrequests.
 */
import type { LintReport, Outline, QuestionRequest, Targets } from "#build/check/build-questions.ts";
import type { LineRange } from "#build/language/lines.ts";
import { sourceLines } from "#spec/source-lines.ts";
import type { BuildkitBuilder } from "./buildkit-parts.ts";
import { unknownQuestion } from "./error-details.ts";
import { placesOf, rangesOf, sourceJson } from "./places.ts";

export type Answered = Record<string, Uint8Array>;

const shapeVersion = "1.0.0";

/** @throws GrpcError for a question there is no answer to. */
export async function answerQuestion(
  builder: BuildkitBuilder,
  question: string,
  request: QuestionRequest,
): Promise<Answered> {
  switch (question) {
    case "frontend.lint":
      if (builder.lint !== undefined) return lintAnswer(await builder.lint(request));
      break;
    case "frontend.outline":
      if (builder.outline !== undefined) return outlineAnswer(await builder.outline(request));
      break;
    case "frontend.targets":
      if (builder.targets !== undefined) return targetsAnswer(await builder.targets(request));
      break;
    case "frontend.subrequests.describe":
      return describeAnswer();
  }
  throw unknownQuestion(question);
}

function answer(json: unknown, text: string, more: Record<string, string> = {}): Answered {
  const words = {
    "result.json": JSON.stringify(json, null, 2),
    "result.txt": text,
    version: shapeVersion,
    ...more,
  };
  return Object.fromEntries(Object.entries(words).map(([name, value]) => [name, Buffer.from(value)]));
}

export function lintAnswer(report: LintReport): Answered {
  const { source, error } = report;
  const json = {
    warnings: report.warnings.map((each) => ({
      ruleName: each.rule,
      description: each.description,
      url: each.url,
      detail: each.detail,
      location: { ranges: placesOf(each.lines, source, each.detail) },
    })),
    sources: [sourceJson(source)],
    ...(error !== undefined && {
      buildError: {
        message: error.message,
        location: { ranges: placesOf(error.lines, source, error.message) },
      },
    }),
  };
  const shown = (lines: readonly LineRange[], message: string) =>
    sourceLines(source.filename, source.text, placesOf(lines, source, message));
  const texts = report.warnings.map(
    ({ rule, url, detail, lines }) => `WARNING: ${rule} - ${url}\n${detail}\n${shown(lines, detail)}`,
  );
  if (error !== undefined) texts.push(`ERROR: ${error.message}\n${shown(error.lines, error.message)}`);
  const failed = report.failed || report.warnings.length > 0 || error !== undefined;
  return answer(json, texts.join("\n"), { "result.statuscode": failed ? "1" : "0" });
}

export function outlineAnswer(outline: Outline): Answered {
  const location = (lines: LineRange) => ({ ranges: rangesOf([lines]) });
  const json = {
    name: outline.name,
    description: outline.description,
    args: outline.args.map(({ lines, ...each }) => ({ ...each, location: location(lines) })),
    secrets: outline.secrets.map(({ lines, ...each }) => ({ ...each, location: location(lines) })),
    ssh: outline.ssh.map(({ lines, ...each }) => ({ ...each, location: location(lines) })),
    cache: outline.cache.map(({ id, lines }) => ({ ID: id, location: location(lines) })),
    sources: [sourceJson(outline.source).data],
  };
  const named = outline.name === "" ? "(default)" : outline.name;
  let text = `TARGET:      ${named}\n`;
  if (outline.description !== "") text += `DESCRIPTION: ${outline.description}\n`;
  text += section(
    "BUILD ARG\tVALUE\tDESCRIPTION",
    outline.args.map((each) => [each.name, each.value, each.description]),
  );
  text += section(
    "SECRET\tREQUIRED",
    outline.secrets.map((each) => [each.name, each.required ? "true" : ""]),
  );
  text += section(
    "SSH\tREQUIRED",
    outline.ssh.map((each) => [each.name, each.required ? "true" : ""]),
  );
  return answer(json, text);
}

export function targetsAnswer({ targets, source }: Targets): Answered {
  const json = {
    targets: targets.map(({ lines, ...each }) => ({ ...each, location: { ranges: rangesOf([lines]) } })),
    sources: [sourceJson(source).data],
  };
  const rows = targets.map((each) => [
    `${each.name === "" ? "(default)" : each.name}${each.default && each.name !== "" ? " (default)" : ""}`,
    each.description,
  ]);
  return answer(json, table("TARGET\tDESCRIPTION", rows));
}

function describeAnswer(): Answered {
  const known = [
    ["frontend.outline", "List all build arguments current build target supports"],
    ["frontend.targets", "List all targets current build supports"],
    ["frontend.lint", "Lint a Dockerfile"],
    ["frontend.subrequests.describe", "List available subrequest types"],
  ];
  const json = known.map(([Name, Description]) => ({
    Name,
    Version: shapeVersion,
    Type: "rpc",
    Description,
    Metadata: [{ Name: "result.json" }, { Name: "result.txt" }],
  }));
  return answer(
    json,
    table(
      "NAME\tVERSION\tDESCRIPTION",
      known.map(([name = "", text = ""]) => [name, shapeVersion, text]),
    ),
  );
}

function section(head: string, rows: readonly (readonly string[])[]): string {
  return rows.length === 0 ? "" : `\n${table(head, rows)}`;
}

function table(head: string, rows: readonly (readonly string[])[]): string {
  const all = [head.split("\t"), ...rows];
  const widths = (all[0] ?? []).map((_, column) => Math.max(...all.map((row) => (row[column] ?? "").length)));
  return all
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd((widths[column] ?? 0) + 3))
        .join("")
        .trimEnd(),
    )
    .map((line) => `${line}\n`)
    .join("");
}
