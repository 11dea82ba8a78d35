/**
 * Pure. How a gRPC call ends: a code, a sentence, details.
 * Sources: grpc.io/docs/guides/status-codes, google/rpc/status.proto, google/protobuf/any.proto.
 */
import { Fault, type FaultKind } from "./fault.ts";
import { bytes, int32, list, message, type Read, string } from "./proto-message.ts";

export const grpcCode = {
  ok: 0,
  cancelled: 1,
  unknown: 2,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  alreadyExists: 6,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  outOfRange: 11,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  unauthenticated: 16,
} as const;

export const AnyMessage = message({ typeUrl: string(1), value: bytes(2) });
export const RpcStatus = message({ code: int32(1), message: string(2), details: list(3, AnyMessage) });
export type RpcStatus = Read<typeof RpcStatus>;
export type RpcDetail = Read<typeof AnyMessage>;

/** A call that ended with another status than OK. */
export class GrpcError extends Error {
  readonly code: number;
  readonly details: readonly RpcDetail[];

  constructor(code: number, text: string, details: readonly RpcDetail[] = [], options?: ErrorOptions) {
    super(text, options);
    this.name = "GrpcError";
    this.code = code;
    this.details = details;
  }

  static from(thrown: unknown): GrpcError {
    if (thrown instanceof GrpcError) return thrown;
    const fault = Fault.from(thrown);
    return new GrpcError(codeByKind[fault.kind], fault.message, [], { cause: thrown });
  }

  get status(): RpcStatus {
    return { code: this.code, message: this.message, details: [...this.details] };
  }
}

/**
 * BuildKit's clients show the sentence alone for `unknown`, and take `internal` and others for exit codes of their own:
 * what a user did wrong is `unknown`.
 */
const codeByKind: Readonly<Record<FaultKind, number>> = {
  invalid: grpcCode.unknown,
  unauthorized: grpcCode.unknown,
  denied: grpcCode.unknown,
  "not-found": grpcCode.unknown,
  conflict: grpcCode.unknown,
  unavailable: grpcCode.unknown,
  internal: grpcCode.unknown,
  unsupported: grpcCode.unknown,
  timeout: grpcCode.unknown,
  cancelled: grpcCode.cancelled,
};

const kindByCode: Readonly<Record<number, FaultKind>> = {
  [grpcCode.cancelled]: "cancelled",
  [grpcCode.invalidArgument]: "invalid",
  [grpcCode.deadlineExceeded]: "timeout",
  [grpcCode.notFound]: "not-found",
  [grpcCode.alreadyExists]: "conflict",
  [grpcCode.permissionDenied]: "denied",
  [grpcCode.unimplemented]: "unsupported",
  [grpcCode.unavailable]: "unavailable",
  [grpcCode.unauthenticated]: "unauthorized",
};

/** Any end of a call as a Fault. */
export function faultOfCall(thrown: unknown): Fault {
  if (!(thrown instanceof GrpcError)) return Fault.from(thrown);
  return new Fault(kindByCode[thrown.code] ?? "invalid", thrown.message, { cause: thrown });
}
