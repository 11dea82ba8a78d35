/**
 * Everything between this engine and registries, as requests see it.
 * Owns: what names and addresses in a request mean. Never: an idea of its own about how a transfer goes.
 */

import { gathered } from "#engine/images/counted.ts";
import type { RegistryAccess, RegistryPart } from "#engine/parts.ts";
import type { Digest } from "#spec/digest.ts";
import { isDigest } from "#spec/digest.ts";
import { Fault } from "#spec/fault.ts";
import type { Descriptor, Platform } from "#spec/image.ts";
import { configBytesMax, readImageConfig } from "#spec/image-config.ts";
import { isImageConfigType, parseManifest, runnable } from "#spec/manifest.ts";
import { parsePlatform } from "#spec/platform.ts";
import { defaultDomain, parseReference, parseTag, type Reference, withDefaultTag } from "#spec/reference.ts";
import type { ManifestList, ManifestLists } from "./manifest-lists.ts";
import type { Pulls } from "./pull.ts";
import type { Pushes } from "./push.ts";
import type { RemoteArtifacts } from "./remote-artifacts.ts";
import type { Tell } from "./transfer-progress.ts";

export interface TransferRequest extends RegistryAccess {
  readonly name: string;
  /** A tag, or a digest. */
  readonly tag?: string | undefined;
  /** `os[/arch[/variant]]`. */
  readonly platform?: string | undefined;
  readonly tell: Tell;
}

export interface RemoteImage {
  readonly descriptor: Descriptor;
  readonly platforms: readonly Platform[];
  /** The text of the manifest or index. */
  readonly manifest: string;
}

export class Transfers {
  readonly #registry: RegistryPart;
  readonly #pulls: Pulls;
  readonly #pushes: Pushes;
  readonly #lists: ManifestLists;
  /** What is not an image. */
  readonly artifacts: RemoteArtifacts;

  constructor(o: {
    readonly registry: RegistryPart;
    readonly pulls: Pulls;
    readonly pushes: Pushes;
    readonly lists: ManifestLists;
    readonly artifacts: RemoteArtifacts;
  }) {
    this.#registry = o.registry;
    this.#pulls = o.pulls;
    this.#pushes = o.pushes;
    this.#lists = o.lists;
    this.artifacts = o.artifacts;
  }

  /** Without a tag or digest: every tag, as Docker's API has it. */
  async pull(o: TransferRequest): Promise<void> {
    const reference = referenceOf(o);
    const platform = platformOf(o);
    if (reference.tag === undefined && reference.digest === undefined)
      await this.#pulls.pullAll(reference, { ...o, platform });
    else await this.#pulls.pull(reference, { ...o, platform });
  }

  /** One image, for those who need it to go on. @returns Its id. */
  async fetch(
    name: string,
    o: RegistryAccess & {
      readonly platform?: Platform;
      readonly anyPlatform?: boolean;
      readonly tell: Tell;
    },
  ): Promise<Digest> {
    return await this.#pulls.pull(withDefaultTag(parseReference(name)), o);
  }

  /** One tag, for those who need to know what it is there. @returns The digest of its manifest or index. */
  async pushTag(name: string, o: RegistryAccess & { readonly tell: Tell }): Promise<Digest> {
    return await this.#pushes.push(withDefaultTag(parseReference(name)), o);
  }

  async push(o: TransferRequest): Promise<void> {
    const reference = referenceOf(o);
    if (reference.digest !== undefined) throw new Fault("invalid", "cannot push a digest reference");
    await this.#pushes.push(reference, { ...o, platform: platformOf(o) });
  }

  /** See `ManifestLists.push`. */
  async pushList(name: string, list: ManifestList, o: RegistryAccess): Promise<void> {
    await this.#lists.push(name, list, o);
  }

  /** What a registry has under a name, without fetching it. */
  async inspect(name: string, o: RegistryAccess): Promise<RemoteImage> {
    const reference = withDefaultTag(parseReference(name));
    const source = this.#registry.source(reference, o);
    const found = await source.manifest(reference.digest ?? reference.tag ?? "", o.signal);
    const document = parseManifest(found.bytes, found.contentType);
    const descriptor = {
      mediaType: document.mediaType,
      digest: found.digest,
      size: found.bytes.length,
    };
    const manifest = new TextDecoder().decode(found.bytes);
    if (document.kind === "index") {
      const platforms = runnable(document).flatMap(({ platform }) =>
        platform === undefined ? [] : [platform],
      );
      return { descriptor, platforms, manifest };
    }
    const { config } = document;
    if (!isImageConfigType(config.mediaType) || config.size > configBytesMax)
      return { descriptor, platforms: [], manifest };
    await using blob = await source.fetch(config, { signal: o.signal, tell: () => undefined });
    const bytes = await gathered(blob.read());
    blob.spend();
    const { architecture, os, variant } = readImageConfig(bytes);
    const platforms = [{ architecture, os, ...(variant !== undefined && { variant }) }];
    return { descriptor, platforms, manifest };
  }

  /** `serverAddress`: a host, or a URL as old clients send it; empty for Docker's. @throws Fault `unauthorized`. */
  async signIn(serverAddress: string, o: RegistryAccess): Promise<void> {
    await this.#registry.signIn(domainOf(serverAddress), o);
  }

  /** At Docker's registry, or the one whose host the term begins with. @returns JSON of registry API 1. */
  async search(term: string, limit: number, o: RegistryAccess): Promise<string> {
    const slash = term.indexOf("/");
    const first = slash < 0 ? "" : term.slice(0, slash);
    const hosted = first.includes(".") || first.includes(":") || first === "localhost";
    const query = new URLSearchParams({ q: hosted ? term.slice(slash + 1) : term, n: String(limit) });
    return await this.#registry.search(hosted ? first : defaultDomain, query.toString(), o);
  }
}

function referenceOf({ name, tag }: TransferRequest): Reference {
  const reference = parseReference(name);
  if (tag === undefined) return reference;
  if (isDigest(tag)) return { ...reference, digest: tag };
  return { ...reference, tag: parseTag(tag) };
}

function platformOf({ platform }: TransferRequest): Platform | undefined {
  return platform === undefined ? undefined : parsePlatform(platform);
}

/** `https://index.docker.io/v1/` and its kin are Docker's. */
function domainOf(serverAddress: string): string {
  const host = serverAddress.replace(/^https?:\/\//, "").replace(/\/.*$/, "");
  return host === "" || host === "index.docker.io" || host === "registry-1.docker.io" ? defaultDomain : host;
}
