import { expect, test } from "bun:test";
import { cacheSource, cacheTarget, importedEntries } from "./cache-places.ts";

const digest = `sha256:${"a".repeat(64)}`;

test("where caches come from", () => {
  expect(cacheSource({ type: "registry", attributes: { ref: "x" } })).toEqual({
    kind: "registry",
    reference: "docker.io/library/x:latest",
  });
  expect(cacheSource({ type: "local", attributes: { src: "/d", digest, tag: "t" } })).toEqual({
    kind: "local",
    directory: "/d",
    digest,
  });
  const imports = JSON.stringify([{ Type: "local", Attrs: { src: "/d", digest } }]);
  expect(importedEntries({ "cache-from": "a,b:1", "cache-imports": imports })).toEqual([
    { type: "registry", attributes: { ref: "a" } },
    { type: "registry", attributes: { ref: "b:1" } },
    { type: "local", attributes: { src: "/d", digest } },
  ]);
  expect(() => importedEntries({ "cache-imports": "[" })).toThrow("failed to unmarshal cache-imports");
});

test("where they go", () => {
  expect(cacheTarget({ type: "registry", attributes: { ref: "r:5000/x", mode: "max" } })).toMatchObject({
    ...{ kind: "registry", reference: "r:5000/x:latest", all: true, words: "oci", imageManifest: false },
    form: undefined,
  });
  expect(
    cacheTarget({ type: "local", attributes: { dest: "/d", compression: "zstd", "image-manifest": "true" } }),
  ).toMatchObject({ directory: "/d", all: false, form: { compression: "zstd" }, imageManifest: true });
});

test("what there is not is refused by name", () => {
  for (const [entry, why] of [
    [
      { type: "azblob", attributes: {} },
      'cache exporter "azblob" could not be found: there are inline, registry',
    ],
    [{ type: "registry", attributes: {} }, "registry cache exporter requires ref"],
    [
      { type: "local", attributes: { dest: "/d", colour: "red" } },
      'cache exporter local has no option "colour"',
    ],
    [{ type: "inline", attributes: { mode: "most" } }, 'invalid cache mode "most": want min or max'],
    [
      { type: "registry", attributes: { ref: "x", "registry.insecure": "true" } },
      'option "registry.insecure=true" is not supported: say it to the engine',
    ],
    [
      { type: "registry", attributes: { ref: "x", "image-manifest": "true", "oci-mediatypes": "false" } },
      "conflicts with oci-mediatypes=false",
    ],
  ] as const)
    expect(() => cacheTarget(entry as never)).toThrow(why);
  expect(() => cacheSource({ type: "local", attributes: { src: "/d" } })).toThrow("requires explicit digest");
});
