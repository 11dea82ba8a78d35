/**
 * What becomes of a build's result: an image of the store, files or an archive for the client.
 * Owns: exporters by their names, what they tell and answer. Never: builds.
 */
import type { BuildResult } from "#build/request/build-request.ts";
import { fileExport, imageExport } from "#build/results/export-attributes.ts";
import type { Exporter } from "#spec/buildkit-control.ts";
import { Fault } from "#spec/fault.ts";
import type { BuildJob } from "./build-jobs.ts";
import type { BuildkitParts } from "./buildkit-parts.ts";
import { toDirectory, toTar } from "./export-files.ts";
import { toLayout, toStore } from "./export-images.ts";
import type { ExportAnswer } from "./export-step.ts";

/** Before anything is built. @throws Fault `invalid` for an exporter there is not, or options it has not. */
export function checkExporter({ Type, Attrs }: Exporter): void {
  switch (Type) {
    case "moby":
    case "image":
      imageExport("image", Attrs);
      break;
    case "oci":
    case "docker":
      imageExport(Type, Attrs);
      break;
    case "local":
    case "tar":
      fileExport(Type, Attrs);
      break;
    default:
      throw new Fault(
        "invalid",
        `exporter ${JSON.stringify(Type)} could not be found: there are image, oci, docker, local and tar`,
      );
  }
}

/** @throws Fault `invalid` for an exporter there is not. */
export async function runExporter(
  parts: BuildkitParts,
  job: BuildJob,
  o: { readonly exporter: Exporter; readonly index: number; readonly result: BuildResult },
): Promise<ExportAnswer> {
  const { Type } = o.exporter;
  switch (Type) {
    case "moby":
    case "image":
      return await toStore(parts, job, o);
    case "oci":
    case "docker":
      return await toLayout(parts, job, { ...o, variant: Type });
    case "local":
      return await toDirectory(parts, job, o);
    case "tar":
      return await toTar(parts, job, o);
    default:
      checkExporter(o.exporter);
      return {};
  }
}
