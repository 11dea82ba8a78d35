import { expect, test } from "bun:test";
import { Fault } from "#spec/fault.ts";
import { mergeConfig } from "./merge-config.ts";

test("the image's command runs when the request names none", () => {
  expect(mergeConfig({}, { Entrypoint: ["/init"], Cmd: ["serve"] })).toMatchObject({
    Entrypoint: ["/init"],
    Cmd: ["serve"],
  });
});

test("a given command keeps the image's entrypoint", () => {
  expect(mergeConfig({ Cmd: ["ls"] }, { Entrypoint: ["/init"], Cmd: ["serve"] })).toMatchObject({
    Entrypoint: ["/init"],
    Cmd: ["ls"],
  });
});

test("a given entrypoint drops the image's command", () => {
  const merged = mergeConfig({ Entrypoint: ["sh"] }, { Entrypoint: ["/init"], Cmd: ["serve"] });
  expect(merged.Entrypoint).toEqual(["sh"]);
  expect(merged.Cmd).toBeNull();
});

test("an empty entrypoint clears the image's entrypoint and command", () => {
  const merged = mergeConfig({ Entrypoint: [""], Cmd: ["sh"] }, { Entrypoint: ["/init"], Cmd: ["serve"] });
  expect(merged.Entrypoint).toBeNull();
  expect(merged.Cmd).toEqual(["sh"]);
  expect(() => mergeConfig({ Entrypoint: [""] }, { Cmd: ["serve"] })).toThrow("no command specified");
});

test("nothing to run is refused as invalid", () => {
  try {
    mergeConfig({}, {});
    throw new Error("not refused");
  } catch (error) {
    expect(error).toBeInstanceOf(Fault);
    expect((error as Fault).kind).toBe("invalid");
  }
});

test("the request's variables win over the image's and come first", () => {
  expect(mergeConfig({ Env: ["A=1", "B"], Cmd: ["x"] }, { Env: ["A=0", "B=0", "C=0"] }).Env).toEqual([
    "A=1",
    "B",
    "C=0",
  ]);
});

test("labels, ports and volumes are united", () => {
  const merged = mergeConfig(
    { Cmd: ["x"], Labels: { a: "1" }, ExposedPorts: { "80/tcp": {} } },
    { Labels: { a: "0", b: "0" }, ExposedPorts: { "53/udp": {} }, Volumes: { "/data": {} } },
  );
  expect(merged.Labels).toEqual({ a: "1", b: "0" });
  expect(Object.keys(merged.ExposedPorts ?? {}).sort()).toEqual(["53/udp", "80/tcp"]);
  expect(merged.Volumes).toEqual({ "/data": {} });
});

test("a health check takes from the image only what it leaves out", () => {
  const merged = mergeConfig(
    { Cmd: ["x"], Healthcheck: { Interval: 5, Retries: 0 } },
    { Healthcheck: { Test: ["CMD", "true"], Interval: 1, Retries: 3 } },
  );
  expect(merged.Healthcheck).toEqual({ Test: ["CMD", "true"], Interval: 5, Retries: 3 });
});
