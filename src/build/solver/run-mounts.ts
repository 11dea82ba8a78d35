/**
 * What a RUN sees beside its file system: `--mount` made real.
 * Owns: the directories, files and sockets behind the mounts, until it is disposed. Promises: a secret is never on a disk and
 * never in a layer; what a command writes to a bind mount is gone afterwards; mount points made for it are found again.
 */
import { chmodSync, chownSync, cpSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import type { BuildClient } from "#build/build-client.ts";
import type { CacheMounts } from "#build/cache/cache-mounts.ts";
import type { Stub } from "#build/files/changes.ts";
import { missingSource } from "#build/files/missing-source.ts";
import { place } from "#build/files/place.ts";
import { lookAt, resolveInRoot } from "#build/files/rooted-path.ts";
import type { SourceTree } from "#build/files/source-tree.ts";
import type { Workspaces } from "#build/files/workspace.ts";
import type { RunMount } from "#build/language/run-mount.ts";
import type { RunWork } from "#build/language/step.ts";
import type { HostConfig } from "#spec/container.ts";
import type { ChainId } from "#spec/digest.ts";
import { Fault } from "#spec/fault.ts";
import { cleanPath } from "#spec/go-text.ts";
import { scriptMount } from "./script-mount.ts";

export interface MountSource {
  /** Of a stage or image; undefined for files that are no image, or for nothing. */
  readonly chainId?: ChainId | undefined;
  readonly tree: SourceTree;
}

export interface RunMountParts {
  readonly workspaces: Workspaces;
  readonly cacheMounts: CacheMounts;
  readonly client: BuildClient;
  /** The build's own directory. */
  readonly scratch: string;
  /** A directory in memory for secrets. */
  readonly memory: string;
  /** Before the names of cache mounts. */
  readonly cacheNamespace: string;
  readonly signal: AbortSignal;
}

export type WantedMount = { readonly mount: RunMount; readonly source: MountSource | undefined };

const defaultMode = { cache: 0o755, secret: 0o400, ssh: 0o600 };

export class RunMounts implements AsyncDisposable {
  readonly #parts: RunMountParts;
  readonly #stack = new AsyncDisposableStack();
  readonly mounts: NonNullable<HostConfig["Mounts"]> = [];
  readonly env: string[] = [];
  #agents = 0;

  private constructor(parts: RunMountParts) {
    this.#parts = parts;
  }

  /** @throws Fault `not-found` for a secret, agent or path that must be there. */
  static async prepare(
    wanted: readonly WantedMount[],
    o: { readonly workdir: string; readonly script: RunWork["script"]; readonly env: readonly string[] },
    parts: RunMountParts,
  ): Promise<RunMounts> {
    const mounts = new RunMounts(parts);
    try {
      for (const each of wanted) await mounts.#add(each, o);
      if (o.script !== undefined)
        mounts.mounts.push(mounts.#stack.use(scriptMount(parts.scratch, o.script)).mount);
      return mounts;
    } catch (error) {
      await mounts[Symbol.asyncDispose]();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }

  /** Mount points that are not in the root, for `removeStubs`. */
  stubs(root: string): Stub[] {
    return this.mounts.flatMap(({ Target: target = "/" }) => {
      const path = resolveInRoot(root, target).slice(root.length + 1);
      const parts = path.split("/");
      let existing = 0;
      while (
        existing < parts.length &&
        lookAt(`${root}/${parts.slice(0, existing + 1).join("/")}`) !== undefined
      )
        existing++;
      if (existing === parts.length) return [];
      const parentTimes = lookAt(`${root}/${parts.slice(0, existing).join("/")}`);
      return [{ path, existing, parentTimes }];
    });
  }

  async #add(
    { mount, source }: WantedMount,
    o: { readonly workdir: string; readonly env: readonly string[] },
  ): Promise<void> {
    const target = (path: string) => cleanPath(path.startsWith("/") ? path : `${o.workdir}/${path}`);
    if (mount.target !== "" && target(mount.target) === "/")
      throw new Fault("invalid", `invalid mount target ${JSON.stringify(mount.target)}`);
    switch (mount.type) {
      case "bind":
        return await this.#bind(mount, target(mount.target), source);
      case "cache":
        return await this.#cache(mount, target(mount.target), source);
      case "tmpfs":
        return void this.mounts.push({
          Type: "tmpfs",
          Target: target(mount.target),
          ...(mount.sizeBytes > 0 && { TmpfsOptions: { SizeBytes: mount.sizeBytes } }),
        });
      case "secret":
        return await this.#secret(mount, target(mount.target));
      case "ssh":
        return await this.#ssh(mount, mount.target === "" ? "" : target(mount.target), o.env);
    }
  }

  #push(source: string, target: string, readOnly: boolean): void {
    this.mounts.push({ Type: "bind", Source: source, Target: target, ReadOnly: readOnly });
  }

  async #bind(mount: RunMount, target: string, source: MountSource | undefined): Promise<void> {
    if (source === undefined) throw new Fault("invalid", `there is nothing to bind to ${target}`);
    const inside = (root: string) => {
      const host = resolveInRoot(root, mount.source);
      if (lookAt(host) !== undefined) return host;
      throw missingSource(mount.source, []);
    };
    if (mount.readOnly) return this.#push(inside(source.tree.root), target, true);
    if (source.chainId !== undefined) {
      const { root } = this.#stack.use(await this.#parts.workspaces.acquire(source.chainId));
      return this.#push(inside(root), target, false);
    }
    const copy = await this.#own(this.#parts.scratch, "bind-");
    cpSync(inside(source.tree.root), join(copy, "files"), { recursive: true, verbatimSymlinks: true });
    this.#push(join(copy, "files"), target, false);
  }

  async #own(above: string, prefix: string): Promise<string> {
    const directory = await mkdtemp(join(above, prefix));
    this.#stack.defer(async () => await rm(directory, { recursive: true, force: true }));
    return directory;
  }

  async #cache(mount: RunMount, target: string, source: MountSource | undefined): Promise<void> {
    const { cacheNamespace, signal } = this.#parts;
    // A part of a cache is a cache of its own: whoever uses the whole could put a link in its place (CVE-2024-23651).
    const part = mount.source === "" ? "" : `:${cleanPath(`/${mount.source}`)}`;
    const held = await this.#parts.cacheMounts.acquire({
      name: `${cacheNamespace}/${mount.id || target}${part}`,
      sharing: mount.sharing,
      mode: mount.mode ?? defaultMode.cache,
      ...{ uid: mount.uid, gid: mount.gid, signal },
      ...(source !== undefined && {
        seed: async (directory: string) => {
          const [found] = await source.tree.find(mount.source || "/", { signal });
          if (found !== undefined) await place(found, { root: directory, path: "/" }, { signal });
        },
      }),
    });
    this.#stack.use(held);
    this.#push(held.directory, target, mount.readOnly);
  }

  async #secret(mount: RunMount, target: string): Promise<void> {
    const bytes = await this.#parts.client.secret(mount.id, this.#parts.signal);
    if (bytes === undefined) {
      if (mount.required) throw new Fault("not-found", `secret ${mount.id}: not found`);
      return;
    }
    if (mount.env !== "") this.env.push(`${mount.env}=${Buffer.from(bytes).toString()}`);
    if (!mount.file) return;
    const directory = await this.#own(this.#parts.memory, "secret-");
    const path = join(directory, "value");
    writeFileSync(path, bytes, { mode: 0o600, flag: "wx" });
    chownSync(path, mount.uid, mount.gid);
    chmodSync(path, mount.mode ?? defaultMode.secret);
    this.#push(path, target, true);
  }

  async #ssh(mount: RunMount, target: string, env: readonly string[]): Promise<void> {
    const number = this.#agents++;
    const id = mount.id || "default";
    const path = target || `/run/buildkit/ssh_agent.${number}`;
    // Said also when nobody listens there, as BuildKit does.
    const known = [...env, ...this.env].some((line) => line.startsWith("SSH_AUTH_SOCK="));
    if (!known) this.env.push(`SSH_AUTH_SOCK=${path}`);
    const agent = await this.#parts.client.ssh(id, this.#parts.signal);
    if (agent === undefined) {
      if (mount.required)
        throw new Fault("not-found", `no SSH key ${JSON.stringify(id)} forwarded from the client`);
      return;
    }
    this.#stack.use(agent);
    chownSync(agent.socketPath, mount.uid, mount.gid);
    chmodSync(agent.socketPath, mount.mode ?? defaultMode.ssh);
    this.#push(agent.socketPath, path, true);
  }
}
