/** Pure. Images as rows of a list: one for each name. */

import { humanSize, shownId, timeAgo } from "#cli/flags/units.ts";
import type { ImageSummary } from "#spec/docker-wire.ts";

export interface ImageRow {
  readonly ID: string;
  readonly Repository: string;
  readonly Tag: string;
  readonly Digest: string;
  readonly CreatedSince: string;
  readonly CreatedAt: string;
  readonly Size: string;
  readonly SharedSize: string;
  readonly UniqueSize: string;
  readonly Containers: string;
}

const none = "<none>";

/** `digests`: a row for each digest of a repository too. */
export function imageRows(
  image: ImageSummary,
  o: { readonly whole: boolean; readonly digests: boolean; readonly nowMs: number },
): ImageRow[] {
  const { SharedSize, Size } = image;
  const shared = {
    ID: shownId(image.Id, o.whole),
    CreatedSince: timeAgo(image.Created, o.nowMs),
    CreatedAt: new Date(image.Created * 1000).toISOString(),
    Size: humanSize(Size),
    SharedSize: SharedSize < 0 ? "N/A" : humanSize(SharedSize),
    UniqueSize: SharedSize < 0 ? "N/A" : humanSize(Size - SharedSize),
    Containers: image.Containers < 0 ? "N/A" : String(image.Containers),
  };
  return namesOf(image, o.digests).map((name) => ({ ...shared, ...name }));
}

function namesOf(image: ImageSummary, digests: boolean): Pick<ImageRow, "Repository" | "Tag" | "Digest">[] {
  const tags = split(image.RepoTags, ":");
  const known = split(image.RepoDigests, "@");
  const repositories = new Set([...tags, ...known].map(([repository]) => repository));
  const rows = [...repositories].flatMap((Repository) => {
    const own = tags.filter(([each]) => each === Repository).map(([, tag]) => tag);
    const found = known.filter(([each]) => each === Repository).map(([, digest]) => digest);
    const shown = digests && found.length > 0 ? found : [found[0] ?? none];
    return (own.length > 0 ? own : [none]).flatMap((Tag) =>
      shown.map((Digest) => ({ Repository, Tag, Digest })),
    );
  });
  return rows.length > 0 ? rows : [{ Repository: none, Tag: none, Digest: none }];
}

function split(names: readonly string[] | null, mark: string): [repository: string, rest: string][] {
  return (names ?? [])
    .filter((name) => !name.startsWith(none))
    .map((name) => {
      const at = name.lastIndexOf(mark);
      return [name.slice(0, at), name.slice(at + 1)];
    });
}

/** Names with what they stand for on each platform below them. */
export function imageTree(images: readonly ImageSummary[]): string[][] {
  const rows = [["IMAGE", "ID", "DISK USAGE", "CONTENT SIZE", "EXTRA"]];
  for (const image of images) {
    const variants = image.Manifests ?? [];
    const content = variants.reduce((sum, { Size }) => sum + Size.Content, 0);
    const used = variants.some(({ ImageData }) => ImageData.Containers.length > 0);
    const disk = variants.reduce((sum, { ImageData }) => sum + ImageData.Size.Unpacked, 0);
    const names = image.RepoTags ?? [];
    for (const name of names.length > 0 ? names : [none])
      rows.push([name, shownId(image.Id, false), humanSize(disk), humanSize(content), used ? "U" : ""]);
    for (const [index, { ID, ImageData, Size }] of variants.entries()) {
      const { os, architecture, variant } = ImageData.Platform;
      const platform = [os, architecture, ...(variant ? [variant] : [])].join("/");
      rows.push([
        `${index === variants.length - 1 ? "└─" : "├─"} ${platform}`,
        ...[shownId(ID, false), humanSize(ImageData.Size.Unpacked), humanSize(Size.Content)],
        ImageData.Containers.length > 0 ? "U" : "",
      ]);
    }
  }
  return rows;
}
