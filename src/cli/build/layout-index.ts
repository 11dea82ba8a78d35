/** The list of what is in an image layout: OCI's image-layout.md, with names as containerd keeps them. */
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Fault } from "#spec/fault.ts";
import { type Descriptor, mediaType } from "#spec/image.ts";
import { parseReference } from "#spec/reference.ts";

const imageName = "io.containerd.image.name";
const refName = "org.opencontainers.image.ref.name";

interface Listed extends Descriptor {
  readonly annotations?: Readonly<Record<string, string>>;
}

/** An entry's annotations for a whole name, or for a tag alone. */
export function namedEntry(name: string): Record<string, string> {
  if (!/[/:]/.test(name)) return { [refName]: name };
  return { [imageName]: name, [refName]: parseReference(name).tag ?? "latest" };
}

/** Lists what `descriptor` leads to under each name, in the place of what had it. */
export async function addToLayout(
  directory: string,
  descriptor: Descriptor,
  names: readonly string[],
): Promise<void> {
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, "oci-layout"), JSON.stringify({ imageLayoutVersion: "1.0.0" }));
  let listed = await entriesOf(directory);
  for (const name of names.length === 0 ? ["latest"] : names) {
    const about = namedEntry(name);
    listed = listed.filter(
      ({ annotations = {} }) =>
        annotations[refName] !== about[refName] || annotations[imageName] !== about[imageName],
    );
    listed.push({ ...descriptor, annotations: { ...descriptor.annotations, ...about } });
  }
  const path = join(directory, "index.json");
  const index = { schemaVersion: 2, mediaType: mediaType.ociIndex, manifests: listed };
  await writeFile(`${path}.new`, JSON.stringify(index));
  await rename(`${path}.new`, path);
}

/** What is listed by a whole name or by a tag; undefined for nothing. */
export async function findInLayout(directory: string, name: string): Promise<Descriptor | undefined> {
  const listed = await entriesOf(directory);
  return (
    listed.find(({ annotations = {} }) => annotations[imageName] === name) ??
    listed.find(({ annotations = {} }) => annotations[refName] === name)
  );
}

async function entriesOf(directory: string): Promise<Listed[]> {
  let text: string;
  try {
    text = await readFile(join(directory, "index.json"), "utf8");
  } catch {
    return [];
  }
  try {
    const { manifests = [] } = JSON.parse(text) as { manifests?: Listed[] };
    return manifests;
  } catch (cause) {
    throw new Fault("invalid", `${directory} is no image layout: its index.json is not JSON`, { cause });
  }
}
