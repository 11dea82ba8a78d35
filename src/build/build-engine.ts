/** What a build needs of the engine, and no more; `Engine` satisfies it as it is, tests bring a double. */
import type { BuiltImages } from "#engine/images/built-images.ts";
import type { RemoteArtifacts } from "#engine/transfers/remote-artifacts.ts";
import type { ContainerConfig, HostConfig } from "#spec/container.ts";
import type { Credentials } from "#spec/credentials.ts";
import type { ChainId, Digest } from "#spec/digest.ts";
import type { JsonMessage } from "#spec/docker-wire.ts";
import type { ImageConfig, Platform } from "#spec/image.ts";

export interface Frame {
  readonly stream: "stdout" | "stderr";
  readonly bytes: Uint8Array;
}

/** An image as a base or a source of files. */
export interface BuildImage {
  readonly record: {
    readonly id: Digest;
    /** Absent when the image has no layers. */
    readonly chainId?: ChainId | undefined;
  };
  readonly config: ImageConfig;
  /** Familiar names with tags or digests. */
  readonly references?: readonly string[];
}

export interface BuildImages {
  /** By name[:tag], id or short id; for a platform if one is given. @throws Fault `not-found`. */
  get(reference: string, platform?: Platform): BuildImage;
  /**
   * Stores a config and makes its image. Idempotent: an equal config is the same image.
   * `intermediate` images are steps on the way: hidden unless all are listed, gone with their last descendant; making
   * one again without it brings it into view.
   */
  create(o: {
    readonly config: ImageConfig;
    readonly chainId?: ChainId;
    readonly parent?: Digest;
    readonly intermediate?: boolean;
  }): Promise<Digest>;
  /** The same for images whose manifests are made already, with their names. @returns their ids, in order. */
  keepBuilt(built: BuiltImages): Promise<Digest[]>;
  /** A config as it is stored. @throws Fault `not-found`. */
  configBytes(id: Digest): Promise<Uint8Array>;
  /** Every layer that an image has. */
  layers(): ReadonlySet<ChainId>;
  /** A layer stays, and those below it, also when no image has it. Idempotent; survives the engine. */
  keepLayer(chainId: ChainId, owner: string): void;
  /** The layer, and those below it, go unless something else needs them. @returns bytes that became free. */
  dropLayer(chainId: ChainId): Promise<number>;
  /** Gives an image one more name, taken from whatever had it. */
  tag(reference: string, target: string): void;
  /** The same for images of several platforms at once: whoever asks for none gets the machine's own, or the first. */
  tagAll(ids: readonly Digest[], target: string): void;
}

export interface RunOnceOptions {
  readonly chainId?: ChainId;
  /** Complete: nothing is merged into it. */
  readonly config: ContainerConfig;
  readonly host: HostConfig;
  readonly signal: AbortSignal;
  /** Called once, before any output. */
  onCreated?(containerId: string): void | Promise<void>;
  onOutput(frame: Frame): void | Promise<void>;
  /** Called when the command has ended well, with the directory of its changes, no longer mounted. */
  settle?(changes: string): void | Promise<void>;
  /** A layer also when nothing was changed. @default false */
  readonly always?: boolean;
}

export interface BuildContainers {
  /**
   * Runs a hidden container to its end and makes a layer of what it changed. Leaves no container, on any way out.
   * @throws Fault with `detail.exitCode` when the command cannot be started; `cancelled` when the signal fires.
   */
  runOnce(o: RunOnceOptions): Promise<{
    readonly containerId: string;
    readonly exitCode: number;
    /** Of a failed command it is not used. */
    readonly layer?: { readonly chainId: ChainId; readonly diffId: Digest } | undefined;
  }>;
}

export interface BuildTransfers {
  /** What registries have that is no image here. */
  readonly artifacts: Pick<RemoteArtifacts, "remote" | "push">;
  /** One tag, with all it stands for. @returns the digest it has there. @throws Fault in Docker's words. */
  pushTag(
    name: string,
    o: {
      readonly credentials?: Credentials | undefined;
      readonly tell: (message: JsonMessage) => void;
      readonly signal: AbortSignal;
    },
  ): Promise<Digest>;
  /** Fetches an image from its registry, or finds that it is the newest already. @throws Fault in Docker's words. */
  fetch(
    name: string,
    o: {
      readonly credentials?: Credentials | undefined;
      /** @default the machine's */
      readonly platform?: Platform | undefined;
      /** An image that is for one platform alone is taken whatever it is for. */
      readonly anyPlatform?: boolean;
      readonly tell: (message: JsonMessage) => void;
      readonly signal: AbortSignal;
    },
  ): Promise<Digest>;
}

export interface BuildEngine {
  readonly images: BuildImages;
  readonly transfers: BuildTransfers;
  readonly containers: BuildContainers;
}
