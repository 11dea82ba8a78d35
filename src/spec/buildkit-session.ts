/**
 * Pure. What a BuildKit client answers over its session: files, credentials, secrets, agents.
 * Source of names and numbers: moby/buildkit session/{filesync,auth,secrets,sshforward,upload}, grpc/health/v1.
 */
import { BytesMessage, Empty } from "./buildkit-llb.ts";
import { Packet } from "./file-packets.ts";
import { bytes, int32, message, string, stringMap } from "./proto-message.ts";
import { method } from "./rpc-method.ts";

const CredentialsRequest = message({ Host: string(1) });
const CredentialsResponse = message({ Username: string(1), Secret: string(2) });
const GetSecretRequest = message({ ID: string(1), annotations: stringMap(2) });
const GetSecretResponse = message({ data: bytes(1) });
const CheckAgentRequest = message({ ID: string(1) });
const HealthCheckRequest = message({ service: string(1) });
const HealthCheckResponse = message({ status: int32(1) });

export const session = {
  fileSync: method("/moby.filesync.v1.FileSync/DiffCopy", Packet, Packet),
  /** A directory to the client. */
  fileSend: method("/moby.filesync.v1.FileSend/DiffCopy", Packet, Packet),
  /** The same method for one file: the bytes. */
  fileSendBytes: method("/moby.filesync.v1.FileSend/DiffCopy", BytesMessage, BytesMessage),
  credentials: method("/moby.filesync.v1.Auth/Credentials", CredentialsRequest, CredentialsResponse),
  getSecret: method("/moby.buildkit.secrets.v1.Secrets/GetSecret", GetSecretRequest, GetSecretResponse),
  checkAgent: method("/moby.sshforward.v1.SSH/CheckAgent", CheckAgentRequest, Empty),
  forwardAgent: method("/moby.sshforward.v1.SSH/ForwardAgent", BytesMessage, BytesMessage),
  upload: method("/moby.upload.v1.Upload/Pull", BytesMessage, BytesMessage),
  health: method("/grpc.health.v1.Health/Check", HealthCheckRequest, HealthCheckResponse),
};

/** Headers of FileSync, FileSend, Upload and SSH. */
export const sessionHeader = {
  directory: "dir-name",
  include: "include-patterns",
  exclude: "exclude-patterns",
  follow: "followpaths",
  exporterId: "buildkit-attachable-exporter-id",
  urlPath: "urlpath",
  urlHost: "urlhost",
  sshId: "buildkit.ssh.id",
} as const;

/** Headers of `POST /session`. */
export const exposeHeader = {
  id: "x-docker-expose-session-uuid",
  sharedKey: "x-docker-expose-session-sharedkey",
  method: "x-docker-expose-session-grpc-method",
} as const;
