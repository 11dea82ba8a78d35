/** `manifest`: what registries have, and lists of it that are put together here and pushed. */
import { type Command, type Invocation, write } from "#cli/flags/command.ts";
import { headerFor } from "#cli/place/credentials.ts";
import { canonical, type ListedManifest, LocalLists } from "#cli/place/manifest-lists.ts";
import { Fault } from "#spec/fault.ts";
import { mediaType } from "#spec/image.ts";
import { indexTypes } from "#spec/manifest.ts";
import { parseReference } from "#spec/reference.ts";

const insecureFlag = {
  name: "insecure",
  kind: "switch",
  help: "Allow communication with an insecure registry (the engine decides)",
} as const;

interface Remote {
  readonly manifest: ListedManifest;
  readonly text: string;
  readonly isList: boolean;
}

/** What a registry has under a name. @throws Fault in docker's words when it has nothing. */
async function fetched({ client, io }: Invocation, name: string): Promise<Remote> {
  const found = await (await client()).images
    .distribution(name, { auth: await headerFor(io, name) })
    .catch((thrown: unknown) => {
      if (!/manifest unknown|not found/i.test(Fault.from(thrown).message)) throw thrown;
      throw new Fault("not-found", `no such manifest: ${name}`, { cause: thrown });
    });
  const text = found.Manifest ?? "";
  const { mediaType: type, digest, size } = found.Descriptor;
  const [platform] = found.Platforms ?? [];
  const isList = indexTypes.includes(type);
  const own = platform === undefined || isList ? {} : { platform: { ...platform } };
  return {
    manifest: {
      Ref: canonical(name),
      Descriptor: { mediaType: type, digest, size, ...own },
      Raw: Buffer.from(text).toString("base64"),
      ...(!isList && {
        [type === mediaType.dockerManifest ? "SchemaV2Manifest" : "OCIManifest"]: JSON.parse(text),
      }),
    },
    text,
    isList,
  };
}

const create: Command = {
  usage: "MANIFEST_LIST MANIFEST [MANIFEST...]",
  flags: [
    { name: "amend", short: "a", kind: "switch", help: "Amend an existing manifest list" },
    insecureFlag,
  ],
  least: 2,
  run: async (o) => {
    const [list = "", ...names] = o.args;
    const lists = new LocalLists(o.io);
    const target = canonical(list);
    if (!o.flags.on("amend") && (await lists.get(target)).length > 0)
      throw new Fault("conflict", "refusing to amend an existing manifest list with no --amend flag");
    // All or none of them.
    const found: ListedManifest[] = [];
    for (const name of names) {
      const { manifest, isList } = await fetched(o, name);
      if (isList) throw new Fault("invalid", `${name} is a manifest list`);
      if (manifest.Descriptor.platform === undefined)
        throw new Fault("invalid", `${name} is no image: it has no platform to stand for in a list`);
      found.push(manifest);
    }
    for (const manifest of found) await lists.put(target, manifest);
    await write(o.io.stdout, `Created manifest list ${target}\n`);
    return 0;
  },
};

/** What Go builds for (`go tool dist list`), as docker checks it. */
const architectures: Readonly<Record<string, string>> = {
  aix: "ppc64",
  android: "386 amd64 arm arm64",
  darwin: "386 amd64 arm arm64",
  dragonfly: "amd64",
  freebsd: "386 amd64 arm arm64",
  illumos: "amd64",
  ios: "arm64 amd64",
  js: "wasm",
  linux: "386 amd64 arm arm64 loong64 mips mipsle mips64 mips64le ppc64 ppc64le riscv64 s390x",
  netbsd: "386 amd64 arm arm64",
  openbsd: "386 amd64 arm arm64",
  plan9: "386 amd64 arm",
  solaris: "amd64",
  wasip1: "wasm",
  windows: "386 amd64 arm arm64",
};

const annotate: Command = {
  usage: "[OPTIONS] MANIFEST_LIST MANIFEST",
  flags: [
    { name: "arch", kind: "text", help: "Set architecture" },
    { name: "os", kind: "text", help: "Set operating system" },
    { name: "os-features", kind: "list", value: "strings", help: "Set operating system feature" },
    { name: "os-version", kind: "text", help: "Set operating system version" },
    { name: "variant", kind: "text", help: "Set architecture variant" },
  ],
  least: 2,
  most: 2,
  run: async ({ args, flags, io }) => {
    const [list, name] = args.map(canonical) as [string, string];
    const lists = new LocalLists(io);
    const known = (await lists.get(list)).find(({ Ref }) => Ref === name);
    if (known === undefined)
      throw new Fault("not-found", `manifest for image ${args[1]} does not exist in ${args[0]}`);
    const { architecture = "", os = "", ...rest } = known.Descriptor.platform ?? {};
    const features = flags.list("os-features").flatMap((each) => each.split(","));
    const changes = {
      "os.version": flags.text("os-version"),
      "os.features": features.length > 0 ? features : undefined,
      variant: flags.text("variant"),
    };
    const platform = {
      architecture: flags.text("arch") || architecture,
      os: flags.text("os") || os,
      ...rest,
      ...Object.fromEntries(Object.entries(changes).filter(([, value]) => value !== undefined)),
    };
    if (!architectures[platform.os]?.split(" ").includes(platform.architecture))
      throw new Fault(
        "invalid",
        `manifest entry for image has unsupported os/arch combination: ${platform.os}/${platform.architecture}`,
      );
    await lists.put(list, { ...known, Descriptor: { ...known.Descriptor, platform } });
    return 0;
  },
};

/** Byte for byte as docker writes it, so that the same list has the same digest. */
export function listText(manifests: readonly ListedManifest[]): string {
  const list = {
    schemaVersion: 2,
    mediaType: mediaType.dockerList,
    manifests: manifests.map(({ Descriptor: { mediaType: type, size, digest, platform } }) => ({
      mediaType: type,
      size,
      digest,
      platform: {
        architecture: platform?.architecture ?? "",
        os: platform?.os ?? "",
        "os.version": platform?.["os.version"] || undefined,
        "os.features": platform?.["os.features"],
        variant: platform?.variant || undefined,
      },
    })),
  };
  return JSON.stringify(list, undefined, 3);
}

const push: Command = {
  usage: "[OPTIONS] MANIFEST_LIST",
  flags: [
    insecureFlag,
    { name: "purge", short: "p", kind: "switch", help: "Remove the local manifest list after push" },
  ],
  least: 1,
  most: 1,
  run: async ({ args, client, flags, io }) => {
    const [name = ""] = args;
    const list = canonical(name);
    const lists = new LocalLists(io);
    const manifests = await lists.get(list);
    if (manifests.length === 0) throw new Fault("not-found", `No such manifest: ${name}`);
    const text = listText(manifests);
    const sources = manifests.map(({ Ref, Descriptor }) => ({ Name: Ref, Digest: Descriptor.digest }));
    const auth = await headerFor(io, name);
    await (await client()).images.pushList(list, { Text: text, Manifests: sources }, { auth });
    const repository = list.replace(/:[^/:]*$/, "");
    for (const { Digest } of sources)
      await write(io.stdout, `Pushed ref ${repository}@${Digest} with digest: ${Digest}\n`);
    const { createHash } = await import("node:crypto");
    await write(io.stdout, `sha256:${createHash("sha256").update(text).digest("hex")}\n`);
    if (flags.on("purge")) await lists.remove(list);
    return 0;
  },
};

const inspect: Command = {
  usage: "[OPTIONS] [MANIFEST_LIST] MANIFEST",
  flags: [
    insecureFlag,
    {
      name: "verbose",
      short: "v",
      kind: "switch",
      help: "Output additional info including layers and platform",
    },
  ],
  least: 1,
  most: 2,
  run: async (o) => {
    const { args, flags, io } = o;
    const verbose = flags.on("verbose");
    const [first = "", second] = args;
    const local = await new LocalLists(io).get(canonical(first));
    if (second !== undefined) {
      const name = canonical(second);
      const one = local.find(({ Ref }) => Ref === name);
      if (one === undefined) throw new Fault("not-found", `no such manifest: ${second}`);
      await write(io.stdout, verbose ? indented(one) : indented(documentOf(one)));
      return 0;
    }
    if (local.length > 0) {
      await write(io.stdout, verbose ? indented(local) : `${listText(local)}\n`);
      return 0;
    }
    const { manifest, text, isList } = await fetched(o, first);
    if (!verbose) await write(io.stdout, isList ? indented(JSON.parse(text), 3) : indented(JSON.parse(text)));
    else await write(io.stdout, indented(isList ? await entriesOf(o, first, text) : manifest));
    return 0;
  },
};

/** Each manifest of a list in a registry. */
async function entriesOf(o: Invocation, name: string, text: string): Promise<ListedManifest[]> {
  const { domain, path } = parseReference(name);
  const { manifests } = JSON.parse(text) as { manifests: ListedManifest["Descriptor"][] };
  const entries: ListedManifest[] = [];
  for (const { digest, platform } of manifests) {
    const { manifest } = await fetched(o, `${domain}/${path}@${digest}`);
    const Descriptor = { ...manifest.Descriptor, ...(platform !== undefined && { platform }) };
    entries.push({ ...manifest, Ref: `${canonical(name)}@${digest}`, Descriptor });
  }
  return entries;
}

function documentOf({ Raw }: ListedManifest): unknown {
  return JSON.parse(Buffer.from(Raw, "base64").toString("utf8"));
}

function indented(value: unknown, by: string | number = "\t"): string {
  return `${JSON.stringify(value, undefined, by)}\n`;
}

const rm: Command = {
  usage: "MANIFEST_LIST [MANIFEST_LIST...]",
  flags: [],
  least: 1,
  run: async ({ args, io }) => {
    const lists = new LocalLists(io);
    let failed = false;
    for (const name of args) {
      const list = canonical(name);
      if ((await lists.get(list)).length > 0) await lists.remove(list);
      else {
        failed = true;
        await write(io.stderr, `No such manifest: ${name}\n`);
      }
    }
    return failed ? 1 : 0;
  },
};

export const commands: Readonly<Record<string, Command>> = { annotate, create, inspect, push, rm };
