/** Results as images: in the engine's store, in a registry, in an archive or a directory of the client's. */
import type { BuildResult } from "#build/request/build-request.ts";
import { isAttested } from "#build/result-images.ts";
import { blobsOf, type ComposedImage } from "#build/results/compose-image.ts";
import { type ImageExport, imageExport } from "#build/results/export-attributes.ts";
import { imageArchive } from "#build/results/image-layout.ts";
import type { Exporter } from "#spec/buildkit-control.ts";
import { exportStore } from "#spec/content-service.ts";
import { shortDigest } from "#spec/digest.ts";
import { Fault } from "#spec/fault.ts";
import type { BuildJob } from "./build-jobs.ts";
import type { BuildkitParts } from "./buildkit-parts.ts";
import { ClientContent } from "./client-content.ts";
import { type ExportAnswer, ExportStep, sendArchive } from "./export-step.ts";
import { clientOf } from "./frontend.ts";

interface ImageExporting {
  readonly exporter: Exporter;
  readonly index: number;
  readonly result: BuildResult;
}

/** @throws Fault `invalid`, `unsupported` for attributes. */
export async function toStore(
  parts: BuildkitParts,
  job: BuildJob,
  { exporter, index, result }: ImageExporting,
): Promise<ExportAnswer> {
  const wanted = imageExport("image", exporter.Attrs);
  const { names } = wanted;
  const { signal } = job;
  if (wanted.push && names.length === 0) throw new Fault("invalid", "tag is needed when pushing to registry");
  const step = new ExportStep(job, parts.now, "exporting to image");
  return await step.run(async () => {
    tellNoEpoch(step, wanted, result);
    const { results } = parts.builder;
    const { id, image } = await step.part("exporting layers", () =>
      results.store(result, { wanted, signal }),
    );
    if (image !== undefined) {
      tellDocuments(step, image);
      job.images.set(index, image);
    }
    step.done(`writing image ${id}`);
    for (const name of names) step.done(`naming to ${name}`);
    let digest = image?.top.descriptor.digest ?? id;
    if (wanted.push)
      for (const name of names)
        digest = await step.part(`pushing ${name}`, async () => await push(parts, job, step, name));
    return {
      ...(image !== undefined && { "containerimage.descriptor": described(image) }),
      "containerimage.digest": digest,
      "containerimage.config.digest": id,
      ...(names.length > 0 && { "image.name": names.join(",") }),
    };
  });
}

async function push(parts: BuildkitParts, job: BuildJob, step: ExportStep, name: string) {
  const client = clientOf(parts, job, job.request.FrontendAttrs);
  return await parts.builder.results.push(name, {
    client,
    signal: job.signal,
    tell: ({ id, status = "" }) => {
      if (id !== undefined && /^(?:Pushed|Layer already|Mounted)/.test(status))
        step.done(`${status.toLowerCase()} ${id}`);
    },
  });
}

/** An image layout: `oci` with all platforms, `docker` with the list that `docker load` wants, and one. */
export async function toLayout(
  parts: BuildkitParts,
  job: BuildJob,
  { exporter, index, result, variant }: ImageExporting & { readonly variant: "oci" | "docker" },
): Promise<ExportAnswer> {
  const wanted = imageExport(variant, exporter.Attrs);
  if (variant === "docker" && (result.multiPlatform || isAttested(result, wanted)))
    throw new Fault("invalid", "docker exporter does not currently support exporting manifest lists");
  const { signal } = job;
  const step = new ExportStep(job, parts.now, `exporting to ${variant} image format`);
  return await step.run(async () => {
    tellNoEpoch(step, wanted, result);
    const compose = () => parts.builder.results.compose(result, { exporter: variant, wanted, signal });
    await using held = await step.part("exporting layers", compose);
    const { image } = held;
    tellDocuments(step, image);
    job.images.set(index, image);
    const answer: ExportAnswer = {
      ...aboutImage(image),
      ...(wanted.names.length > 0 && { "image.name": wanted.names.join(",") }),
    };
    const created = new Date(wanted.epochMs ?? result.epochMs ?? parts.now()).toISOString();
    const layout = { created: created.replace(/\.\d+Z$/, "Z"), names: wanted.names, signal };
    if (wanted.tar) {
      const archive = imageArchive(image, { ...layout, docker: variant === "docker" });
      await sendArchive(parts, job, step, { index, archive, about: answer });
    } else {
      const store = new ClientContent(await parts.sessions.find(job.request.Session, signal), exportStore);
      for (const blob of blobsOf(image))
        await step.part(`copying ${shortDigest(blob.descriptor.digest)}`, async (told) =>
          store.write(blob, signal, told),
        );
    }
    return answer;
  });
}

/** As BuildKit does: without a moment there is nothing to go by. */
function tellNoEpoch(step: ExportStep, wanted: ImageExport, { epochMs }: BuildResult): void {
  if (wanted.rewriteTimestamp && (wanted.epochMs ?? epochMs) === undefined)
    step.done("rewrite-timestamp is specified, but no source-date-epoch was found");
}

function tellDocuments(step: ExportStep, { top, perPlatform, isIndex }: ComposedImage): void {
  for (const { manifest, config } of perPlatform) {
    step.done(`exporting manifest ${manifest.descriptor.digest}`);
    step.done(`exporting config ${config.descriptor.digest}`);
  }
  for (const { attached } of perPlatform)
    for (const { manifest } of attached)
      step.done(`exporting attestation manifest ${manifest.descriptor.digest}`);
  if (isIndex) step.done(`exporting manifest list ${top.descriptor.digest}`);
}

function aboutImage(image: ComposedImage): ExportAnswer {
  const [only] = image.perPlatform;
  return {
    "containerimage.digest": image.top.descriptor.digest,
    ...(!image.isIndex && only && { "containerimage.config.digest": only.config.descriptor.digest }),
    "containerimage.descriptor": described(image),
  };
}

function described({ top }: ComposedImage): string {
  return Buffer.from(JSON.stringify(top.descriptor)).toString("base64");
}
