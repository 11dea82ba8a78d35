/** Pure. From the flags of `build` to BuildKit's attributes, exporters and cache entries. */

import { csvFields } from "#cli/flags/csv.ts";
import type { Flags } from "#cli/flags/flags.ts";
import { parseSize } from "#cli/flags/units.ts";
import { Fault } from "#spec/fault.ts";

export interface Entry {
  readonly Type: string;
  readonly Attrs: Record<string, string>;
}

/** Where files go: into a directory, a file (`-` is stdout), an image layout. */
export interface Place {
  readonly kind: "directory" | "file" | "layout";
  readonly path: string;
}

/** `type=local,dest=out`, or a path alone. */
export interface Output extends Entry {
  readonly place?: Place | undefined;
}

/** @throws Fault `invalid` for words that mean nothing. */
export function frontendOptions(
  flags: Flags,
  env: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  const options: Record<string, string> = { "image-resolve-mode": flags.on("pull") ? "pull" : "local" };
  const text = (flag: string, option: string): void => {
    const value = flags.text(flag);
    if (value !== undefined && value !== "") options[option] = value;
  };
  text("target", "target");
  text("cgroup-parent", "cgroup-parent");
  const platforms = flags.list("platform").flatMap((each) => each.split(","));
  if (platforms.length > 0) options["platform"] = platforms.join(",");
  for (const [name, value] of pairs(flags.list("build-arg"), "build-arg", env))
    options[`build-arg:${name}`] = value;
  const epoch = env["SOURCE_DATE_EPOCH"];
  if (epoch) options["build-arg:SOURCE_DATE_EPOCH"] ??= epoch;
  for (const [name, value] of pairs(flags.list("label"), "label")) options[`label:${name}`] = value;
  const filter = flags.list("no-cache-filter").flatMap((each) => each.split(","));
  if (flags.on("no-cache")) options["no-cache"] = "";
  else if (filter.length > 0) options["no-cache"] = filter.join(",");
  const hosts = flags.list("add-host").map((each) => each.replace(/^([^:=]+)[:=](.*)$/, "$1=$2"));
  if (hosts.length > 0) options["add-hosts"] = hosts.join(",");
  const network = flags.text("network") ?? "default";
  if (network === "host" || network === "none") options["force-network-mode"] = network;
  else if (network !== "default")
    throw new Fault(
      "invalid",
      `network mode ${JSON.stringify(network)} not supported by buildkit: use default, none or host`,
    );
  if (flags.text("shm-size") !== undefined)
    options["shm-size"] = String(parseSize(flags.text("shm-size") ?? ""));
  if (flags.list("ulimit").length > 0) options["ulimit"] = flags.list("ulimit").join(",");
  for (const [kind, text] of attestationsOf(flags)) options[`attest:${kind}`] = text;
  const question = questionOf(flags);
  if (question !== undefined) options["requestid"] = `frontend.${question.name}`;
  return options;
}

/** `--attest type=sbom,…`, and the shorter `--sbom` and `--provenance`, which may be truths. @throws Fault `invalid`. */
export function attestationsOf(flags: Flags): Map<string, string> {
  const found = new Map<string, string>();
  for (const text of flags.list("attest")) {
    const fields = csvFields(text);
    const type = fields.find((field) => field.startsWith("type="))?.slice("type=".length);
    if (type === undefined) throw new Fault("invalid", `attestation type not specified: ${text}`);
    found.set(type, fields.filter((field) => !field.startsWith("type=")).join(","));
  }
  for (const kind of ["sbom", "provenance"]) {
    const text = flags.text(kind);
    if (text === undefined) continue;
    if (/^(?:0|f|false)$/i.test(text)) found.delete(kind);
    else found.set(kind, /^(?:1|t|true)?$/i.test(text) ? "" : text.includes("=") ? text : `mode=${text}`);
  }
  return found;
}

/** What is asked of a Dockerfile instead of building it. */
export interface Question {
  /** As BuildKit calls it: `lint`. */
  readonly name: string;
  readonly json: boolean;
  /** Whatever is found, asking was a success. */
  readonly ignoreStatus: boolean;
}

const questions: Readonly<Record<string, string>> = {
  ...{ check: "lint", lint: "lint", outline: "outline", targets: "targets" },
  "subrequests.describe": "subrequests.describe",
};

/** `--check`, or `--call METHOD[,format=json][,ignorestatus[=BOOL]]`; undefined to build. @throws Fault `invalid`. */
export function questionOf(flags: Flags): Question | undefined {
  const [call = "build", ...fields] = csvFields(
    flags.on("check") ? "check" : (flags.text("call") ?? "build"),
  );
  const method = call.replace(/^method=/, "");
  if (method === "build") return undefined;
  const name = questions[method];
  if (name === undefined)
    throw new Fault(
      "invalid",
      `invalid call ${JSON.stringify(method)}: want build, check, outline, targets or subrequests.describe`,
    );
  const given = new Map(
    fields.map((field) => field.split(/=(.*)/s, 2)).map(([key = "", value = ""]) => [key, value] as const),
  );
  const format = given.get("format") ?? "text";
  const ignored = given.get("ignorestatus");
  const odd = [...given.keys()].find((key) => key !== "format" && key !== "ignorestatus");
  if (odd !== undefined || !["text", "json"].includes(format))
    throw new Fault(
      "invalid",
      `invalid print function: ${call},${fields.join(",")}: want format=json or ignorestatus`,
    );
  const ignoreStatus = given.has("ignorestatus") && !/^(?:0|f|false)$/i.test(ignored ?? "");
  return { name, json: format === "json", ignoreStatus };
}

function* pairs(
  texts: readonly string[],
  flag: string,
  env?: Readonly<Record<string, string | undefined>>,
): Generator<[string, string]> {
  for (const text of texts) {
    const [name = "", value] = text.split(/=(.*)/s, 2);
    if (name === "")
      throw new Fault(
        "invalid",
        `invalid argument ${JSON.stringify(text)} for --${flag}: the name is missing`,
      );
    if (value !== undefined) yield [name, value];
    else if (env === undefined) yield [name, ""];
    else if (env[name] !== undefined) yield [name, env[name]];
  }
}

/** What comes out: by default an image. @throws Fault `invalid`. */
export function outputsOf(flags: Flags): Output[] {
  const outputs = flags.list("output").map((text) => outputOf(text));
  if (outputs.length === 0) outputs.push({ Type: "moby", Attrs: {} });
  const names = flags.list("tag").join(",");
  const annotations = annotationsOf(flags.list("annotation"));
  if (flags.on("push") && names === "") throw new Fault("invalid", "tag is needed when pushing to registry");
  return outputs
    .filter(({ Type }) => Type !== "cacheonly")
    .map((output) => {
      if (!images.has(output.Type)) return output;
      const Attrs = {
        ...(names !== "" && { name: names }),
        ...(output.Type === "moby" && flags.on("push") && { push: "true" }),
        ...(flags.on("squash") && { squash: "true" }),
        ...annotations,
        ...output.Attrs,
      };
      return { ...output, Attrs };
    });
}

const images = new Set(["moby", "oci", "docker"]);

function outputOf(text: string): Output {
  if (text === "-") return { Type: "tar", Attrs: {}, place: { kind: "file", path: "-" } };
  if (!text.includes("=")) return { Type: "local", Attrs: {}, place: { kind: "directory", path: text } };
  const { Type, Attrs } = entryOf(text, "output");
  const { dest, ...rest } = Attrs;
  switch (Type) {
    case "image":
      return { Type: "moby", Attrs: rest };
    case "registry":
      return { Type: "moby", Attrs: { ...rest, push: "true" } };
    case "local":
      if (dest === undefined) throw new Fault("invalid", "dest is required for local output");
      return { Type, Attrs: rest, place: { kind: "directory", path: dest } };
    case "tar":
      return { Type, Attrs: rest, place: { kind: "file", path: dest ?? "-" } };
    case "oci":
    case "docker":
      // Without a place it is for the engine's own store.
      if (Type === "docker" && dest === undefined) return { Type: "moby", Attrs: rest };
      if (!/^(?:0|f|false)$/i.test(rest["tar"] ?? ""))
        return { Type, Attrs: rest, place: { kind: "file", path: dest ?? "-" } };
      if (dest === undefined)
        throw new Fault("invalid", `dest is required for ${Type} output in a directory`);
      return { Type, Attrs: rest, place: { kind: "layout", path: dest } };
    default:
      return { Type, Attrs: rest };
  }
}

/** `index,manifest[linux/amd64]:key=value`, of the manifest when no level is said. @throws Fault `invalid`. */
export function annotationsOf(texts: readonly string[]): Record<string, string> {
  const found: Record<string, string> = {};
  for (const text of texts) {
    const [, levels = "manifest", key, value] = /^(?:([a-z-]+[^=:]*):)?([^\s=]+)=(.*)$/s.exec(text) ?? [];
    if (key === undefined || value === undefined)
      throw new Fault("invalid", `invalid annotation ${JSON.stringify(text)}, expected key=value`);
    for (const each of levels.split(",")) {
      const [, level, platform = ""] = /^([a-z-]+)(\[[A-Za-z0-9_/-]+\])?$/.exec(each) ?? [];
      if (level === undefined)
        throw new Fault("invalid", `invalid annotation type ${JSON.stringify(each)} in ${text}`);
      found[`annotation-${level}${platform}.${key}`] = value;
    }
  }
  return found;
}

/** `type=inline`, `type=registry,ref=…`; a name alone is a registry's. @throws Fault `invalid`. */
export function entryOf(text: string, flag: string): Entry {
  if (!text.includes("=")) return { Type: "registry", Attrs: { ref: text } };
  const attributes: Record<string, string> = {};
  for (const field of csvFields(text)) {
    const [name = "", value] = field.split(/=(.*)/s, 2);
    if (value === undefined)
      throw new Fault("invalid", `invalid value ${field} for --${flag}: want key=value`);
    attributes[name.toLowerCase()] = value;
  }
  const { type, ...Attrs } = attributes;
  if (type === undefined) throw new Fault("invalid", `type is required for --${flag}: ${text}`);
  return { Type: type, Attrs };
}
