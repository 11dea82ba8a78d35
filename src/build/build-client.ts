/**
 * What a build asks of whoever wants it. A classic client sent one tar and has nothing more to say; a BuildKit client
 * is asked over its session while the build runs.
 */
import type { Credentials } from "#spec/credentials.ts";
import type { Digest } from "#spec/digest.ts";
import type { Descriptor } from "#spec/image.ts";

export interface LocalFilter {
  /** Patterns of files that are wanted, as in `.dockerignore`; absent for all. */
  readonly include?: readonly string[] | undefined;
  /** Lines of a `.dockerignore`, comments gone: what is not wanted, `!` for what is after all. */
  readonly exclude?: readonly string[] | undefined;
  /** Paths, wildcards allowed, whose symbolic links are followed and whose targets are wanted too. */
  readonly followPaths?: readonly string[] | undefined;
  /** Told how many bytes have come, while they come: what `transferring context:` shows. */
  readonly transferred?: ((bytes: number) => void) | undefined;
  readonly signal: AbortSignal;
}

/** Files of a local context, for as long as it is not disposed. Nothing changes them meanwhile. */
export interface LocalContext extends AsyncDisposable {
  /** On this machine; the builder only reads. */
  readonly directory: string;
  /** SHA-256 in hex of what a file holds, by its path in the directory, where it is known without reading, and that it has no attributes. */
  readonly contentHash?: ((path: string) => string | undefined) | undefined;
}

/** A unix socket that leads to the client's ssh agent, until disposed. */
export interface SshAgent extends AsyncDisposable {
  readonly socketPath: string;
}

/** Blobs in a directory of the client's. */
export interface LentBlobs {
  /** Undefined when it is not there. */
  sizeOf(digest: Digest, signal: AbortSignal): Promise<number | undefined>;
  /** Not checked against its digest: who reads it does. */
  read(digest: Digest, signal: AbortSignal): AsyncIterable<Uint8Array>;
  /** One that is there is not sent again. `told` gets the bytes sent. */
  write(
    blob: { readonly descriptor: Descriptor; read(signal: AbortSignal): AsyncIterable<Uint8Array> },
    signal: AbortSignal,
    told?: (bytes: number) => void,
  ): Promise<void>;
}

/** Every method throws the signal's reason when it fires, and a Fault when the client is gone or refuses. */
export interface BuildClient {
  /** What tells the place its files are in from others; empty when nothing does. */
  origin(signal: AbortSignal): Promise<string>;
  /**
   * Files the client has under a name: `context`, `dockerfile`, or a named context's. What the filter lets through is
   * complete; more may be there. Undefined when the client has no files of that name.
   */
  local(name: string, filter: LocalFilter): Promise<LocalContext | undefined>;
  /** Names of what a directory of such files holds, for who misses one; empty when the client does not say. */
  names(name: string, directory: string, filter: Pick<LocalFilter, "exclude" | "signal">): Promise<string[]>;
  /**
   * A tar, or the text of one Dockerfile, that the client sends instead of files (`docker build -`), by the address in
   * the option `context` (`http://buildkit-session/<id>`). Undefined when there is none.
   */
  upload(address: string, signal: AbortSignal): Promise<AsyncIterable<Uint8Array> | undefined>;
  /** Undefined when the client has no secret of that name. */
  secret(id: string, signal: AbortSignal): Promise<Uint8Array | undefined>;
  /** Undefined when the client forwards no agent of that name. */
  ssh(id: string, signal: AbortSignal): Promise<SshAgent | undefined>;
  /** For a registry's host (`registry-1.docker.io` for the hub). Undefined for none: then one goes anonymously. */
  credentials(host: string, signal: AbortSignal): Promise<Credentials | undefined>;
  /** A store of blobs by its name (`local:` and the directory). Undefined when the client lends none at all. */
  blobs(store: string, signal: AbortSignal): Promise<LentBlobs | undefined>;
}
