import { expect, test } from "bun:test";
import { wantedAttestations } from "./attest-options.ts";

test("what is asked for, and what clients ask for by themselves", () => {
  expect(wantedAttestations({})).toEqual({});
  expect(wantedAttestations({ "attest:provenance": "mode=min,inline-only=true" }).provenance).toMatchObject({
    mode: "min",
    version: "v0.2",
    inlineOnly: true,
  });
  const asked = wantedAttestations({
    "attest:provenance": "type=provenance,mode=max,version=v1,builder-id=me,reproducible=true",
    "attest:sbom": 'generator=scan:1,"WORD=a,b"',
  });
  expect(asked.provenance).toEqual({
    ...{ mode: "max", version: "v1", builderId: "me", reproducible: true, inlineOnly: false },
  });
  expect(asked.sbom).toEqual({ generator: "scan:1", parameters: { WORD: "a,b" } });
  expect(wantedAttestations({ "build-arg:BUILDKIT_ATTEST_SBOM": "" }).sbom?.generator).toBe(
    "docker/buildkit-syft-scanner:stable-1",
  );
  expect(
    wantedAttestations({ "attest:provenance": "disabled=true", "attest:sbom": "disabled=true" }),
  ).toEqual({});
});

test("what there is not is refused by name", () => {
  for (const [text, why] of [
    ["mode=most", 'invalid provenance mode "most"'],
    ["version=v2", "invalid provenance SLSA version: v2"],
    ["colour=red", 'unknown provenance option "colour": there are '],
    ["reproducible=perhaps", "strconv.ParseBool"],
  ] as const)
    expect(() => wantedAttestations({ "attest:provenance": text })).toThrow(why);
  expect(() => wantedAttestations({ "attest:vex": "" })).toThrow('unknown attestation type "vex"');
});
