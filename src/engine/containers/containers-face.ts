/**
 * Everything that can be asked of containers, in one place for those who ask: requests, streams, execs, looking inside.
 * Owns: nothing. Never: an idea of its own; each method belongs to the part it is handed to.
 */

import type { Images } from "#engine/images/images.ts";
import type { ContainerIndex } from "#engine/lifecycle/container-index.ts";
import type { Launch } from "#engine/lifecycle/launch.ts";
import { shownLinks } from "#engine/lifecycle/links.ts";
import type { Attachment, AttachOptions, LogOptions, Streams } from "#engine/lifecycle/streams.ts";
import type { Exit } from "#engine/lifecycle/waiters.ts";
import type { ConsoleSize, Frame, LayerPart, NetworkPart, VolumeRemoval, Waiting } from "#engine/parts.ts";
import type { ContainerRecord, CreateRequest, HostConfig } from "#spec/container.ts";
import { Fault } from "#spec/fault.ts";
import type { Sandbox } from "#spec/network.ts";
import { type ListOptions, listContainers } from "./container-list.ts";
import type { Containers, StopOptions } from "./containers.ts";
import type { ExecRecord, ExecRequest } from "./exec-memory.ts";
import type { ExecStartOptions, Execs } from "./execs.ts";
import { type RunOnceOptions, type RunOnceResult, runOnce } from "./run-once.ts";

export interface ContainerDetail {
  readonly record: ContainerRecord;
  readonly sandbox?: Sandbox | undefined;
  readonly paths: {
    readonly log: string;
    readonly hosts: string;
    readonly hostname: string;
    readonly resolvConf: string;
  };
  readonly execIds: readonly string[];
  /** As inspect shows them. */
  readonly links: readonly string[] | null;
  /** What those call it that are linked to it: `/web/db`. */
  readonly aliases: readonly string[];
  /** Those it is on, or will be on when it runs; the id is empty for one that is not there. */
  readonly networks: readonly { readonly id: string; readonly name: string }[];
  /** Where the root file system's parts are on disk; lower ones top first. */
  readonly rootfs?: ReturnType<LayerPart["paths"]> | undefined;
}

export interface ContainersFaceParts {
  readonly index: ContainerIndex;
  readonly images: Images;
  readonly layers: LayerPart;
  readonly launch: Launch;
  readonly network: Pick<NetworkPart, "sandbox" | "find">;
  readonly containers: Containers;
  readonly streams: Streams;
  readonly execs: Execs;
  readonly randomHex: (bytes: number) => string;
}

export class ContainersFace {
  readonly #parts: ContainersFaceParts;

  constructor(parts: ContainersFaceParts) {
    this.#parts = parts;
  }

  async create(request: CreateRequest, o: Waiting): Promise<{ id: string; warnings: string[] }> {
    return await this.#parts.containers.create(request, o);
  }

  async start(reference: string, o: Waiting): Promise<boolean> {
    return await this.#parts.containers.start(reference, o);
  }

  async stop(reference: string, o: StopOptions): Promise<boolean> {
    return await this.#parts.containers.stop(reference, o);
  }

  async restart(reference: string, o: StopOptions): Promise<void> {
    await this.#parts.containers.restart(reference, o);
  }

  async kill(reference: string, signalName: string | undefined, o: Waiting): Promise<void> {
    await this.#parts.containers.kill(reference, signalName, o);
  }

  async pause(reference: string): Promise<void> {
    await this.#parts.containers.pause(reference);
  }

  async unpause(reference: string): Promise<void> {
    await this.#parts.containers.unpause(reference);
  }

  async rename(reference: string, name: string): Promise<void> {
    await this.#parts.containers.rename(reference, name);
  }

  async update(reference: string, changes: HostConfig, o: Waiting): Promise<void> {
    await this.#parts.containers.update(reference, changes, o);
  }

  async removeLink(reference: string): Promise<void> {
    await this.#parts.containers.removeLink(reference);
  }

  async protect(reference: string, on: boolean): Promise<void> {
    await this.#parts.containers.protect(reference, on);
  }

  async remove(
    reference: string,
    o: Waiting & { force: boolean; volumes: VolumeRemoval | undefined },
  ): Promise<void> {
    await this.#parts.containers.remove(reference, o);
  }

  wait(
    reference: string,
    condition: "not-running" | "next-exit" | "removed",
    o: Waiting,
  ): { readonly exit: Promise<Exit> } {
    return this.#parts.containers.wait(reference, condition, o);
  }

  get(reference: string): ContainerRecord {
    return this.#parts.index.get(reference);
  }

  list(o: ListOptions): ContainerRecord[] {
    const { images, index } = this.#parts;
    return listContainers(index.list(), o, {
      container: (reference) => index.get(reference),
      lineage: (reference) => images.lineage(reference),
      imageLineage: (record) => images.lineage(record.image.id),
      networks: (record) => this.#networks(record),
      ports: (record) => this.#sandbox(record)?.ports ?? [],
    });
  }

  #sandbox(record: ContainerRecord): Sandbox | undefined {
    return this.#parts.network.sandbox(record.id);
  }

  /** Those it is on, or would be on if it ran. */
  #networks(record: ContainerRecord): { id: string; name: string }[] {
    return Object.keys(record.endpoints).map((name) => ({
      id: this.#parts.network.find(name)?.id ?? "",
      name,
    }));
  }

  /** What a list shows of it: no more than is at hand. */
  glance(reference: string): Pick<ContainerDetail, "record" | "sandbox" | "networks" | "aliases"> {
    const record = this.#parts.index.get(reference);
    return {
      record,
      aliases: this.#aliases(record),
      sandbox: this.#sandbox(record),
      networks: this.#networks(record),
    };
  }

  detail(reference: string): ContainerDetail {
    const { index, execs, launch, layers } = this.#parts;
    const record = index.get(reference);
    return {
      record,
      sandbox: this.#sandbox(record),
      paths: launch.files(record.id),
      execIds: execs.of(record.id),
      links: shownLinks(record, (id) => index.find(id)?.name),
      aliases: this.#aliases(record),
      networks: this.#networks(record),
      rootfs: present(() => layers.paths(record.id)),
    };
  }

  #aliases({ id }: ContainerRecord): string[] {
    return this.#parts.index.linkedTo(id).map(({ record, alias }) => `/${record.name}/${alias}`);
  }

  /** Bytes of its own changes, and of everything it shows. */
  async size(reference: string): Promise<{ rw: number; rootFs: number }> {
    const { id, image } = this.#parts.index.get(reference);
    const rw = await this.#parts.layers.usage(id);
    return { rw, rootFs: rw + this.#parts.images.layersSize(image.chainId) };
  }

  logs(reference: string, o: LogOptions): AsyncIterable<Frame & { readonly timeNano: bigint }> {
    return this.#parts.streams.logs(reference, o);
  }

  async attach(reference: string, o: AttachOptions): Promise<Attachment> {
    return this.#parts.streams.attach(reference, o);
  }

  async resize(reference: string, size: ConsoleSize): Promise<void> {
    await this.#parts.streams.resize(reference, size);
  }

  createExec(reference: string, request: ExecRequest): string {
    return this.#parts.execs.create(reference, request);
  }

  startableExec(id: string): ExecRecord {
    return this.#parts.execs.startable(id);
  }

  async startExec(id: string, o: ExecStartOptions): Promise<Attachment | undefined> {
    return await this.#parts.execs.start(id, o);
  }

  inspectExec(id: string): ExecRecord {
    return this.#parts.execs.inspect(id);
  }

  async killExec(id: string, signalName: string): Promise<void> {
    await this.#parts.execs.kill(id, signalName);
  }

  async resizeExec(id: string, size: ConsoleSize): Promise<void> {
    await this.#parts.execs.resize(id, size);
  }

  async runOnce(o: RunOnceOptions): Promise<RunOnceResult> {
    return await runOnce(this.#parts, o);
  }
}

/** A container that is being made or removed has no layer yet or no more. */
function present<R>(look: () => R): R | undefined {
  try {
    return look();
  } catch (thrown) {
    if (Fault.from(thrown).kind === "not-found") return undefined;
    throw thrown;
  }
}
