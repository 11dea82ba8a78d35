/** Image layouts that builds come out as, read and checked: every blob is what it is called. */
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync, zstdDecompressSync } from "node:zlib";

export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly platform?: { readonly os: string; readonly architecture: string };
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface Manifest {
  readonly mediaType: string;
  readonly artifactType?: string;
  readonly subject?: Descriptor;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface Index {
  readonly mediaType: string;
  readonly manifests: readonly Descriptor[];
  readonly annotations?: Readonly<Record<string, string>>;
}

export class Layout {
  readonly directory: string;

  constructor(directory: string) {
    this.directory = directory;
  }

  static async ofArchive(path: string): Promise<Layout> {
    const directory = `${path}.unpacked`;
    rmSync(directory, { recursive: true, force: true });
    mkdirSync(directory);
    await Bun.$`tar -xf ${path} -C ${directory}`.quiet();
    return new Layout(directory);
  }

  file(name: string): Buffer {
    return readFileSync(join(this.directory, name));
  }

  get index(): Index {
    return JSON.parse(this.file("index.json").toString()) as Index;
  }

  /** @throws when it is not what it is called. */
  blob({ digest, size }: Descriptor): Buffer {
    const bytes = this.file(`blobs/${digest.replace(":", "/")}`);
    const really = `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
    if (really !== digest || bytes.length !== size)
      throw new Error(`${digest} of ${size} bytes is ${really} of ${bytes.length}`);
    return bytes;
  }

  json<T>(descriptor: Descriptor): T {
    return JSON.parse(this.blob(descriptor).toString()) as T;
  }

  /** What a manifest's layers are, unpacked, by the diff ids of its config: they must be. */
  checkLayers(manifest: Manifest): void {
    const { rootfs } = this.json<{ rootfs: { diff_ids: string[] } }>(manifest.config);
    const really: string[] = [];
    for (const layer of manifest.layers) {
      const bytes = this.blob(layer);
      const plain = layer.mediaType.endsWith("zstd")
        ? zstdDecompressSync(bytes)
        : layer.mediaType.endsWith("gzip")
          ? gunzipSync(bytes)
          : bytes;
      really.push(`sha256:${createHash("sha256").update(plain).digest("hex")}`);
    }
    if (JSON.stringify(really) !== JSON.stringify(rootfs.diff_ids))
      throw new Error(`the layers are ${really}, not ${rootfs.diff_ids}`);
  }
}
