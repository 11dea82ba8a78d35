/** Pure. An engine's refusal, and an engine that is not there, as faults. */
import { Fault, type FaultKind } from "#spec/fault.ts";

const kinds: Readonly<Record<number, FaultKind>> = {
  400: "invalid",
  401: "denied",
  403: "denied",
  404: "not-found",
  409: "conflict",
  501: "unsupported",
  503: "unavailable",
};

/** `detail.status` is the HTTP status. The message is the engine's own. */
export function refusal(status: number, body: string): Fault {
  let message = body.trim();
  try {
    const parsed: unknown = JSON.parse(body);
    if (typeof parsed === "object" && parsed !== null && "message" in parsed)
      message = String(parsed.message);
  } catch {
    // Not JSON: what it says is all there is.
  }
  return new Fault(kinds[status] ?? "internal", message || `the engine answered with status ${status}`, {
    detail: { status },
  });
}

/** What is wrong with the certificate of who answers, in Go's words. */
const mistrust: Readonly<Record<string, string>> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: "certificate signed by unknown authority",
  SELF_SIGNED_CERT_IN_CHAIN: "certificate signed by unknown authority",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "certificate signed by unknown authority",
  UNABLE_TO_GET_ISSUER_CERT: "certificate signed by unknown authority",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "certificate signed by unknown authority",
  CERT_HAS_EXPIRED: "certificate has expired or is not yet valid",
  CERT_NOT_YET_VALID: "certificate has expired or is not yet valid",
  ERR_TLS_CERT_ALTNAME_INVALID: "certificate is valid for other names",
};

/** In the docker CLI's words, which scripts look for. */
export function unreachable(address: string, cause: unknown): Fault {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  const trouble = mistrust[code];
  if (trouble !== undefined)
    return new Fault(
      "denied",
      `error during connect: ${address}: tls: failed to verify certificate: x509: ${trouble}: name its authority with --tlscacert`,
      { cause },
    );
  if (code === "EACCES" || code === "EPERM")
    return new Fault(
      "denied",
      `permission denied while trying to connect to the engine at ${address}: run as root`,
      { cause },
    );
  return new Fault(
    "unavailable",
    `Cannot connect to the Docker daemon at ${address}. Is the docker daemon running?`,
    { cause },
  );
}
