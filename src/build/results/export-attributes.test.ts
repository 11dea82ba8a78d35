import { expect, test } from "bun:test";
import { annotationsAt, checkAnnotations } from "#build/request/annotations.ts";
import { imageExport } from "./export-attributes.ts";

test("names in full, once each", () => {
  const { names } = imageExport("image", { name: "x,docker.io/library/x:latest,y:1,127.0.0.1:5000/z" });
  expect(names).toEqual(["docker.io/library/x:latest", "docker.io/library/y:1", "127.0.0.1:5000/z:latest"]);
  expect(() => imageExport("image", { name: `x@sha256:${"a".repeat(64)}` })).toThrow(
    "cannot contain a digest",
  );
});

test("forms of layers, words of manifests, times", () => {
  expect(imageExport("oci", {})).toMatchObject({
    form: undefined,
    ociTypes: undefined,
    tar: true,
    push: false,
  });
  expect(imageExport("oci", { compression: "zstd", "compression-level": "9", tar: "false" })).toMatchObject({
    form: { compression: "zstd", level: 9 },
    tar: false,
  });
  expect(imageExport("image", { "source-date-epoch": "7", "rewrite-timestamp": "true" })).toMatchObject({
    epochMs: 7000,
    rewriteTimestamp: true,
  });
  expect(imageExport("image", { store: "true", unpack: "", push: "t" }).push).toBe(true);
});

test("what there is not, and what cannot be, is refused by name", () => {
  for (const [attributes, why] of [
    [{ colour: "red" }, 'exporter image has no option "colour": there are '],
    [{ tar: "true" }, 'exporter image has no option "tar"'],
    [{ store: "false" }, 'exporter option "store=false" is not supported: an image of this engine'],
    [{ "push-by-digest": "true" }, 'exporter option "push-by-digest=true" is not supported'],
    [{ "registry.insecure": "true" }, "say it to the engine: --insecure-registry"],
    [{ push: "perhaps" }, "non-bool value specified for push"],
    [{ compression: "estargz" }, "unsupported compression type estargz: there are gzip, zstd, uncompressed"],
    [
      { compression: "zstd", "oci-mediatypes": "false" },
      '"compression=zstd" conflicts with "oci-mediatypes=false"',
    ],
    [
      { "annotation-index.a": "b", "oci-mediatypes": "0" },
      '"annotations" conflicts with "oci-mediatypes=false"',
    ],
    [{ "annotation-top.a": "b" }, "unrecognized annotation type top"],
    [{ "annotation-manifest[a/b/c/d].x": "y" }, "failed to parse platform a/b/c/d"],
    [{ "source-date-epoch": "soon" }, "invalid source-date-epoch: soon"],
  ] as const)
    expect(() => imageExport("image", attributes as Record<string, string>)).toThrow(why);
});

test("annotations by level and platform, the closer one first", () => {
  const { annotations } = imageExport("oci", {
    "annotation.b": "all",
    "annotation-manifest[linux/arm64].b": "arm",
    "annotation-manifest.a": "1",
    "annotation-index.i": "2",
  });
  const platform = { os: "linux", architecture: "arm64" };
  expect(annotationsAt(annotations, "manifest", platform)).toEqual({ a: "1", b: "arm" });
  expect(annotationsAt(annotations, "manifest", { os: "linux", architecture: "amd64" })).toEqual({
    a: "1",
    b: "all",
  });
  expect(annotationsAt(annotations, "index")).toEqual({ i: "2" });
  expect(annotationsAt(annotations, "index-descriptor")).toBeUndefined();
  checkAnnotations(annotations, { platforms: [platform], isIndex: true });
  expect(() => checkAnnotations(annotations, { platforms: [platform], isIndex: false })).toThrow(
    "index annotations not supported for single platform export",
  );
  expect(() => checkAnnotations(annotations, { platforms: [], isIndex: true })).toThrow(
    "invalid annotation: no platform linux/arm64 found in source",
  );
});
