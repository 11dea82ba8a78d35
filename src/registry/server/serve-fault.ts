/** Pure. Refusals of the registry server: the codes and statuses of OCI distribution-spec 1.1, "Error Codes". */
import { isFault } from "#spec/fault.ts";

const statusOf = {
  BLOB_UNKNOWN: 404,
  BLOB_UPLOAD_INVALID: 400,
  BLOB_UPLOAD_UNKNOWN: 404,
  DENIED: 403,
  DIGEST_INVALID: 400,
  MANIFEST_BLOB_UNKNOWN: 400,
  MANIFEST_INVALID: 400,
  MANIFEST_UNKNOWN: 404,
  NAME_INVALID: 400,
  NAME_UNKNOWN: 404,
  PAGINATION_NUMBER_INVALID: 400,
  RANGE_INVALID: 416,
  SIZE_INVALID: 400,
  TAG_INVALID: 400,
  TOOMANYREQUESTS: 429,
  UNAUTHORIZED: 401,
  // Beyond the specification, as other registries say it.
  UNAVAILABLE: 503,
  UNKNOWN: 500,
  UNSUPPORTED: 405,
} as const;
export type RegistryCode = keyof typeof statusOf;

/** A request that is answered with an error body. */
export class RegistryRefusal extends Error {
  readonly code: RegistryCode;
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    code: RegistryCode,
    message: string,
    o: { readonly status?: number; readonly headers?: Readonly<Record<string, string>> } = {},
  ) {
    super(message);
    this.name = "RegistryRefusal";
    this.code = code;
    this.status = o.status ?? statusOf[code];
    this.headers = o.headers ?? {};
  }

  /** `{"errors":[{"code":…,"message":…}]}`. */
  body(): string {
    return `${JSON.stringify({ errors: [{ code: this.code, message: this.message, detail: null }] })}\n`;
  }
}

/** What a client is told of any failure; why it failed is for the log. */
export function refusalOf(error: unknown): RegistryRefusal {
  if (error instanceof RegistryRefusal) return error;
  if (isFault(error, "conflict"))
    return new RegistryRefusal("BLOB_UPLOAD_INVALID", error.message, { status: 409 });
  if (isFault(error, "unavailable"))
    return new RegistryRefusal("UNAVAILABLE", "the registry's store is full or away: see its log");
  return new RegistryRefusal("UNKNOWN", "the registry failed: see its log");
}
