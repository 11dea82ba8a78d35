/**
 * Images on the wire.
 * Pure. Owns: the shapes, by API version.
 */

import type { HistoryLine, ImageDetail, ImageVariant } from "#api/engine-face.ts";
import { zeroTime } from "#spec/container.ts";
import type { ManifestSummary } from "#spec/docker-images.ts";
import type { HistoryItem, ImageDeleted, ImageInspect, ImageSummary } from "#spec/docker-wire.ts";
import type { ImageRunConfig } from "#spec/image.ts";
import { timeToSeconds } from "#spec/unix-time.ts";

function names(references: readonly string[]): { tags: string[]; digests: string[] } {
  return {
    tags: references.filter((reference) => !reference.includes("@")),
    digests: references.filter((reference) => reference.includes("@")),
  };
}

/** `sharedSize` in bytes; undefined when it was not asked for. */
export function imageSummary(image: ImageDetail, version: number, sharedSize = -1): ImageSummary {
  const { tags, digests } = names(image.references);
  const unnamed = version < 43 && tags.length === 0 && digests.length === 0;
  return {
    Id: image.record.id,
    ParentId: image.record.parent ?? "",
    RepoTags: unnamed ? ["<none>:<none>"] : tags,
    RepoDigests: unnamed ? ["<none>@<none>"] : digests,
    Created: timeToSeconds(image.record.created),
    Size: image.record.sizeBytes,
    SharedSize: sharedSize,
    ...(version < 44 && { VirtualSize: image.record.sizeBytes }),
    Labels: image.config.config.Labels ?? null,
    Containers: -1,
  };
}

/** What older clients also find: the config of the container an image was made of, which is not recorded here. */
interface LegacyFields {
  ContainerConfig?: ImageInspect["Config"];
}

export function imageInspect(image: ImageDetail, version: number): ImageInspect & LegacyFields {
  const { record, config } = image;
  const { tags, digests } = names(image.references);
  return {
    Id: record.id,
    RepoTags: tags,
    RepoDigests: digests,
    Parent: record.parent ?? "",
    Comment: config.history.at(-1)?.comment ?? "",
    Created: config.created ?? record.created,
    ...(version < 45 && { ContainerConfig: runConfig({}, version) }),
    DockerVersion: "",
    Author: config.author ?? "",
    Config: runConfig(config.config, version),
    Architecture: config.architecture,
    ...(config.variant !== undefined && config.variant !== "" && { Variant: config.variant }),
    Os: config.os,
    Size: record.sizeBytes,
    ...(version < 44 && { VirtualSize: record.sizeBytes }),
    GraphDriver: { Data: null, Name: "overlay2" },
    RootFS: { Type: "layers", Layers: [...config.rootfs.diff_ids] },
    Metadata: { LastTagTime: record.tagged ?? zeroTime },
  };
}

/** Until 1.49 an image's config had every field of a container's. */
function runConfig(config: ImageRunConfig, version: number): NonNullable<ImageInspect["Config"]> {
  const { ExposedPorts, Healthcheck, ArgsEscaped, StopSignal, Shell } = config;
  const asContainer = version < 50;
  return {
    ...(asContainer && { Hostname: "", Domainname: "" }),
    User: config.User ?? "",
    ...(asContainer && { AttachStdin: false, AttachStdout: false, AttachStderr: false }),
    ...(ExposedPorts !== undefined && Object.keys(ExposedPorts).length > 0 && { ExposedPorts }),
    ...(asContainer && { Tty: false, OpenStdin: false, StdinOnce: false }),
    Env: config.Env ?? [],
    Cmd: config.Cmd ?? null,
    ...(Healthcheck !== undefined && { Healthcheck }),
    ...(ArgsEscaped === true && { ArgsEscaped }),
    ...(asContainer && { Image: "" }),
    Volumes: config.Volumes ?? null,
    WorkingDir: config.WorkingDir ?? "",
    Entrypoint: config.Entrypoint ?? null,
    OnBuild: config.OnBuild ?? null,
    Labels: config.Labels ?? null,
    ...(StopSignal !== undefined && StopSignal !== "" && { StopSignal }),
    ...(Shell !== undefined && Shell.length > 0 && { Shell }),
  };
}

export function manifestSummary(variant: ImageVariant): ManifestSummary {
  const { descriptor, platform, sizeBytes, containers } = variant;
  return {
    ID: descriptor.digest,
    Descriptor: descriptor,
    Available: true,
    Size: { Content: descriptor.size, Total: descriptor.size + sizeBytes },
    Kind: "image",
    ImageData: { Platform: platform, Containers: [...containers], Size: { Unpacked: sizeBytes } },
  };
}

export function historyItem(line: HistoryLine): HistoryItem {
  return {
    Id: line.id ?? "<missing>",
    Created: timeToSeconds(line.created),
    CreatedBy: line.createdBy,
    Tags: line.references.length === 0 ? null : [...line.references],
    Size: line.sizeBytes,
    Comment: line.comment,
  };
}

export function imageDeleted(item: { untagged: string } | { deleted: string }): ImageDeleted {
  return "untagged" in item ? { Untagged: item.untagged } : { Deleted: item.deleted };
}
