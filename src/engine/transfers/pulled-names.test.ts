import { expect, test } from "bun:test";
import type { Variants } from "#engine/images/image-index.ts";
import type { Digest } from "#spec/digest.ts";
import { parseReference } from "#spec/reference.ts";
import { namesOfPull } from "./pulled-names.ts";

const digest = (n: number) => `sha256:${String(n).repeat(64)}` as Digest;
const [amd, arm, one, two] = [digest(1), digest(2), digest(8), digest(9)];
const ranksHere = (id: Digest) => (id === amd ? 0 : undefined);

function pulled(o: {
  reference?: string;
  id: Digest;
  top: Digest;
  known?: Record<string, { id: Digest; variants?: Variants }>;
  single?: boolean;
}) {
  const known = o.known ?? {};
  return namesOfPull({
    ...{ id: o.id, topDigest: o.top, isIndex: o.single !== true, ranksHere },
    reference: parseReference(o.reference ?? "app:1"),
    index: {
      nameOf: (name) => (known[name] === undefined ? undefined : name),
      candidates: (name) => (known[name]?.variants?.images ?? [known[name]?.id ?? amd]).map((id) => ({ id })),
      variants: (name) => known[name]?.variants,
    },
  });
}

const tag = "docker.io/library/app:1";

test("a tag and its digest lead to the image", () => {
  expect(pulled({ id: amd, top: one, single: true })).toEqual({
    names: [
      { name: tag, leadsTo: amd },
      { name: `docker.io/library/app@${one}`, leadsTo: amd },
    ],
    fresh: true,
  });
  const byDigest = pulled({ reference: `app:1@${one}`, id: amd, top: one, single: true });
  expect(byDigest.names.map(({ name }) => name)).toEqual([`docker.io/library/app@${one}`]);
});

test("another platform of the same index joins, and the machine's own stays first", () => {
  const known = { [tag]: { id: amd, variants: { index: one, images: [amd] } } };
  const [name] = pulled({ id: arm, top: one, known }).names;
  expect(name).toEqual({ name: tag, leadsTo: amd, variants: { index: one, images: [amd, arm] } });
  expect(pulled({ id: amd, top: one, known }).fresh).toBe(false);
});

test("a tag that moved leaves the old index's images behind", () => {
  const known = { [tag]: { id: amd, variants: { index: one, images: [amd, arm] } } };
  const [name] = pulled({ id: arm, top: two, known }).names;
  expect(name).toEqual({ name: tag, leadsTo: arm, variants: { index: two, images: [arm] } });
});
