/**
 * What is told about a container beside each line of its output: its tag, and the labels and variables that were chosen.
 * Pure. (Docker's `tag`, `labels`, `labels-regex`, `env`, `env-regex`.)
 */
import type { ContainerRecord } from "#spec/container.ts";
import { Fault } from "#spec/fault.ts";
import { compileTemplate } from "#spec/template.ts";
import { strict } from "#spec/template-functions.ts";

type Options = Readonly<Record<string, string>>;

export type LogSource = Pick<ContainerRecord, "id" | "name" | "created" | "config" | "image" | "host">;

/** @throws Fault `invalid` for a regular expression or a template that cannot be read. */
export function checkAttributeOptions(options: Options): void {
  for (const name of ["labels-regex", "env-regex"]) expression(options[name]);
  if (options["tag"]) compileTemplate(options["tag"])(strict(templateFields(sample)));
}

function expression(text: string | undefined): RegExp | undefined {
  if (text === undefined || text === "") return undefined;
  const flags = /^\(\?([ims]+)\)/.exec(text);
  try {
    return new RegExp(text.slice(flags?.[0].length ?? 0), flags?.[1] ?? "");
  } catch (cause) {
    const reason = Fault.from(cause).message.replace(/^Invalid regular expression: /, "");
    throw new Fault("invalid", `error parsing regexp: ${reason}: \`${text}\``, { cause });
  }
}

/** The chosen labels and variables, under names that `rename` makes. */
export function chosenAttributes(
  { config, host }: LogSource,
  rename: (name: string) => string = (name) => name,
): Map<string, string> {
  const options = host.LogConfig?.Config ?? {};
  const labels = new Map(Object.entries(config.Labels ?? {}));
  const variables = new Map(
    (config.Env ?? []).filter((each) => each.includes("=")).map((each) => splitOnce(each)),
  );
  const chosen = new Map<string, string>();
  for (const [of, names, pattern] of [
    [labels, options["labels"], options["labels-regex"]],
    [variables, options["env"], options["env-regex"]],
  ] as const) {
    const listed = (names ?? "").split(",");
    const matches = expression(pattern);
    for (const [name, value] of of)
      if (listed.includes(name) || matches?.test(name) === true) chosen.set(rename(name), value);
  }
  return chosen;
}

function splitOnce(text: string): [string, string] {
  const at = text.indexOf("=");
  return [text.slice(0, at), text.slice(at + 1)];
}

/** The container's tag: what its template makes, or the first twelve characters of its id. */
export function logTag(source: LogSource): string {
  const template = source.host.LogConfig?.Config?.["tag"] || "{{.ID}}";
  return compileTemplate(template)(strict(templateFields(source)));
}

/** What `logs --details` shows in front of each line: `a=1,b=2`, escaped as in a query. */
export function detailsText(source: LogSource): string {
  const attributes = chosenAttributes(source);
  if (source.host.LogConfig?.Config?.["tag"]) attributes.set("tag", logTag(source));
  return [...attributes]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${queryEscape(name)}=${queryEscape(value)}`)
    .join(",");
}

/** As Go's `url.QueryEscape`. */
function queryEscape(text: string): string {
  return encodeURIComponent(text)
    .replace(/%20/g, "+")
    .replace(/[!'()*]/g, (letter) => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`);
}

export function commandLine({ config }: LogSource): string {
  return [...(config.Entrypoint ?? []), ...(config.Cmd ?? [])].join(" ");
}

/** The names a tag's template may use. */
function templateFields(source: LogSource) {
  const { config, created, host, id, image, name } = source;
  const [entrypoint = "", ...args] = [...(config.Entrypoint ?? []), ...(config.Cmd ?? [])];
  return {
    ID: id.slice(0, 12),
    FullID: id,
    Name: name,
    ImageID: image.id.slice(0, 12),
    ImageFullID: image.id,
    ImageName: image.reference,
    Command: commandLine(source),
    DaemonName: "docker",
    Config: host.LogConfig?.Config ?? {},
    ContainerID: id,
    ContainerName: `/${name}`,
    ContainerEntrypoint: entrypoint,
    ContainerArgs: args,
    ContainerImageID: image.id,
    ContainerImageName: image.reference,
    ContainerCreated: created,
    ContainerEnv: config.Env ?? [],
    ContainerLabels: config.Labels ?? {},
  };
}

/** Stands for any container when a template is checked. */
const sample = {
  id: "0".repeat(64),
  name: "name",
  created: "",
  image: { reference: "", id: `sha256:${"0".repeat(64)}` },
  config: {},
  host: {},
} as unknown as LogSource;
