/**
 * A registry's refusals as faults, in Docker's words (distribution specification, "Error Codes").
 * Pure.
 */
import * as v from "valibot";
import { Fault, type FaultKind } from "#spec/fault.ts";

const errorsSchema = v.object({
  errors: v.pipe(
    v.array(v.object({ code: v.optional(v.string()), message: v.nullish(v.string()) })),
    v.minLength(1),
  ),
});

/** Of an error's body, what is read. */
export const refusalBytesMax = 64 << 10;

const kindByStatus: Readonly<Record<number, FaultKind>> = {
  400: "invalid",
  401: "unauthorized",
  403: "denied",
  404: "not-found",
  405: "unsupported",
  416: "invalid",
  429: "unavailable",
  501: "unsupported",
};

export interface Refused {
  readonly status: number;
  /** `GET https://host/path`. */
  readonly request: string;
  readonly body: string;
  /** From `Retry-After`. */
  readonly retryAfterMs?: number | undefined;
}

/** `detail`: `status`, `code` (`MANIFEST_UNKNOWN`, …), `retryAfterMs`. */
export function refusal({ status, request, body, retryAfterMs }: Refused): Fault {
  const known = registryError(body);
  const kind = kindByStatus[status] ?? (status >= 500 ? "internal" : "invalid");
  const message =
    known === undefined ? unexplained(status, request, body) : `${words(known.code)}: ${known.message}`;
  return new Fault(kind, status === 429 ? explainLimit(message, retryAfterMs) : message, {
    detail: { status, code: known?.code ?? "", ...(retryAfterMs !== undefined && { retryAfterMs }) },
  });
}

function registryError(body: string): { code: string; message: string } | undefined {
  try {
    const [first] = v.parse(errorsSchema, JSON.parse(body)).errors;
    const code = first?.code ?? "UNKNOWN";
    return { code, message: first?.message || words(code) };
  } catch {
    return undefined;
  }
}

/** `MANIFEST_UNKNOWN` → `manifest unknown`. */
function words(code: string): string {
  return code.toLowerCase().replaceAll("_", " ");
}

function unexplained(status: number, request: string, body: string): string {
  const html = /^\s*</.test(body);
  const said = html
    ? "with a web page instead of JSON"
    : body.trim() === ""
      ? ""
      : `with ${JSON.stringify(body.trim().slice(0, 200))}`;
  return `received unexpected HTTP status: ${status} to ${request}${said === "" ? "" : `, ${said}`}`;
}

function explainLimit(message: string, retryAfterMs: number | undefined): string {
  const when = retryAfterMs === undefined ? "later" : `in ${Math.ceil(retryAfterMs / 1000)} seconds`;
  return `${message} (the registry limits how often you may ask: sign in with 'login' for a higher limit, use a mirror, or try again ${when})`;
}

/** What Docker makes of a refusal to hand out `reference`, whose repository is `name`. */
export function pullRefusal(fault: Fault, o: { readonly reference: string; readonly name: string }): Fault {
  const code = fault.detail["code"];
  const again = (message: string) => new Fault("not-found", message, { cause: fault, detail: fault.detail });
  if (code === "DENIED" || code === "UNAUTHORIZED")
    return again(
      `pull access denied for ${o.name}, repository does not exist or may require 'docker login': ${fault.message}`,
    );
  if (code === "NAME_UNKNOWN") return again(`repository ${o.name} not found: ${fault.message}`);
  if (code === "MANIFEST_UNKNOWN" || fault.kind === "not-found")
    return again(`manifest for ${o.reference} not found: ${fault.message}`);
  return fault;
}
