/** Pure. `RUN --mount=type=…,key=value`. */
import { Fault } from "#spec/fault.ts";
import { suggestion } from "./suggest.ts";

export interface RunMount {
  readonly type: "bind" | "cache" | "tmpfs" | "secret" | "ssh";
  /** Stage, named context or image; empty for the build context (bind) or nothing (cache). */
  readonly from: string;
  readonly source: string;
  readonly target: string;
  readonly readOnly: boolean;
  readonly id: string;
  readonly sharing: "shared" | "private" | "locked";
  /** Bytes of a tmpfs; 0 for the kernel's default. */
  readonly sizeBytes: number;
  readonly mode: number | undefined;
  readonly uid: number;
  readonly gid: number;
  readonly required: boolean;
  /** Secret: the variable that gets it; empty for none. */
  readonly env: string;
  /** Secret: it is a file; false when `env` alone was asked for. */
  readonly file: boolean;
}

const types = ["bind", "cache", "tmpfs", "secret", "ssh"] as const;
const keys = [
  "type",
  "from",
  "source",
  "target",
  "readonly",
  "readwrite",
  "id",
  "sharing",
  "required",
  "size",
  "mode",
  "uid",
  "gid",
  "env",
];
const aliases: Readonly<Record<string, string>> = {
  src: "source",
  dst: "target",
  destination: "target",
  ro: "readonly",
  rw: "readwrite",
};
/** Which types a key belongs to, where it is not all. */
const belongs: Readonly<Record<string, readonly RunMount["type"][]>> = {
  sharing: ["cache"],
  required: ["secret", "ssh"],
  size: ["tmpfs"],
  mode: ["secret", "ssh", "cache"],
  uid: ["secret", "ssh", "cache"],
  gid: ["secret", "ssh", "cache"],
  env: ["secret"],
};

/** Stages are found before any variable has its value. @throws Fault `invalid` for a `from` with one in it. */
export function refuseVariableFrom(text: string): void {
  for (const field of csvFields(text))
    if (/^from=.*\$./i.test(field))
      throw new Fault("invalid", "'from' doesn't support variable expansion, define alias stage instead");
}

/** @throws Fault `invalid` in BuildKit's words. `expand` replaces variables; `from` takes none. */
export function parseRunMount(text: string, expand: (value: string) => string): RunMount {
  const given = new Map<string, Given>();
  for (const field of csvFields(text)) {
    const equals = field.indexOf("=");
    const written = (equals < 0 ? field : field.slice(0, equals)).toLowerCase();
    const key = aliases[written] ?? written;
    if (equals < 0 && !["readonly", "readwrite", "required"].includes(key))
      throw new Fault("invalid", `invalid field '${field}' must be a key=value pair`);
    if (!keys.includes(key))
      throw new Fault("invalid", `unexpected key '${written}' in '${field}'${suggestion(written, keys)}`);
    const raw = equals < 0 ? "true" : field.slice(equals + 1);
    given.set(key, { value: key === "from" ? raw : expand(raw), written });
  }
  return new Fields(given).mount();
}

/** A key's value, and the key in the user's word for it. */
interface Given {
  readonly value: string;
  readonly written: string;
}

class Fields {
  readonly #given: ReadonlyMap<string, Given>;

  constructor(given: ReadonlyMap<string, Given>) {
    this.#given = given;
  }

  mount(): RunMount {
    const written = this.#text("type") || "bind";
    const type = types.find((each) => each === written);
    if (type === undefined)
      throw new Fault(
        "invalid",
        `unsupported mount type ${JSON.stringify(written)}${suggestion(written, types)}`,
      );
    for (const key of this.#given.keys())
      if (belongs[key]?.includes(type) === false) throw new Fault("invalid", misplaced(key, type));
    if (type === "secret") this.#checkSecret();
    if (type === "ssh" && this.#given.has("source"))
      throw new Fault("invalid", "ssh does not support source");
    const env = this.#text("env");
    const id = this.#text("id");
    const source = this.#text("source");
    const target = this.#target(type, id);
    return {
      ...{ type, target, env, source },
      from: this.#text("from"),
      readOnly: this.#readOnly(type),
      id: type === "secret" && id === "" ? source || (target.split("/").at(-1) ?? "") : id,
      sharing: this.#sharing(),
      sizeBytes: this.#size(),
      mode: this.#number("mode", 8),
      uid: this.#number("uid", 10) ?? 0,
      gid: this.#number("gid", 10) ?? 0,
      required: this.#truth("required"),
      file: type !== "secret" || env === "" || this.#given.has("target"),
    };
  }

  #text(key: string): string {
    return this.#given.get(key)?.value ?? "";
  }

  #target(type: RunMount["type"], id: string): string {
    const target = this.#text("target");
    if (target !== "" || type === "ssh") return target;
    if (type === "secret") {
      const name = id || this.#text("source");
      return `/run/secrets/${name.split("/").at(-1)}`;
    }
    throw new Fault("invalid", 'invalid mount target ""');
  }

  #readOnly(type: RunMount["type"]): boolean {
    if (this.#given.has("readwrite")) return !this.#truth("readwrite");
    if (this.#given.has("readonly")) return this.#truth("readonly");
    return type !== "cache" && type !== "tmpfs";
  }

  #sharing(): RunMount["sharing"] {
    const sharing = this.#text("sharing") || "shared";
    if (sharing === "shared" || sharing === "private" || sharing === "locked") return sharing;
    throw new Fault(
      "invalid",
      `unsupported sharing value ${JSON.stringify(sharing)}${suggestion(sharing, ["shared", "private", "locked"])}`,
    );
  }

  #truth(key: string): boolean {
    const value = this.#text(key);
    if (["", "false", "0", "f"].includes(value.toLowerCase())) return false;
    if (["true", "1", "t"].includes(value.toLowerCase())) return true;
    throw new Fault("invalid", `invalid value for ${this.#given.get(key)?.written}: ${value}`);
  }

  #checkSecret(): void {
    if (this.#text("from") !== "") throw new Fault("invalid", "secret mount should not have a from");
    const [source, target, id] = [this.#text("source"), this.#text("target"), this.#text("id")];
    if (source === "" && target === "" && id === "")
      throw new Fault("invalid", "invalid secret mount. one of source, target required");
    if (source !== "" && id !== "") throw new Fault("invalid", "both source and id can't be set");
  }

  #number(key: string, radix: 8 | 10): number | undefined {
    const value = this.#text(key);
    if (value === "") return undefined;
    if (!(radix === 8 ? /^[0-7]+$/ : /^\d+$/).test(value))
      throw new Fault("invalid", `invalid value ${value} for ${key}`);
    return Number.parseInt(value, radix);
  }

  #size(): number {
    const value = this.#text("size");
    if (value === "") return 0;
    const [, number = "", unit = ""] = /^(\d+(?:\.\d+)?)\s*([kmgtp]?)i?b?$/i.exec(value) ?? [];
    if (number === "") throw new Fault("invalid", `invalid value for size: ${value}`);
    return Math.floor(Number(number) * 1024 ** " kmgtp".indexOf(unit === "" ? " " : unit.toLowerCase()));
  }
}

function misplaced(key: string, type: RunMount["type"]): string {
  if (key === "mode" || key === "uid" || key === "gid") return `${key} not allowed for "${type}" type mounts`;
  if (key !== "sharing") return `unexpected key '${key}' for mount type '${type}'`;
  return type === "secret"
    ? "secret mount should not define sharing"
    : `invalid cache sharing set for ${type} mount`;
}

/** Fields between commas; a field in double quotes may hold commas, `""` is a quote in it (RFC 4180). */
export function csvFields(text: string): string[] {
  const fields: string[] = [];
  let field = "";
  let quoted = false;
  for (let at = 0; at < text.length; at++) {
    const char = text[at] ?? "";
    if (quoted && char === '"' && text[at + 1] === '"') {
      field += '"';
      at++;
    } else if (char === '"') quoted = !quoted;
    else if (char === "," && !quoted) {
      fields.push(field);
      field = "";
    } else field += char;
  }
  fields.push(field);
  return fields;
}
