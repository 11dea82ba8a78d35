import { expect, test } from "bun:test";
import { registryInfo } from "./registry-info.ts";

test("without anything said, as Docker 26", () => {
  expect(registryInfo({ mirrors: [], insecure: [], proxy: {} })).toEqual({
    RegistryConfig: {
      InsecureRegistryCIDRs: ["127.0.0.0/8"],
      IndexConfigs: { "docker.io": { Name: "docker.io", Mirrors: [], Secure: true, Official: true } },
      Mirrors: null,
    },
    HttpProxy: "",
    HttpsProxy: "",
    NoProxy: "",
  });
});

test("mirrors by registry, insecure hosts and networks, proxies without their secrets", () => {
  const info = registryInfo({
    mirrors: ["https://mirror.example", "quay.example=http://m:5000/path/"],
    insecure: ["plain.example:5000", "10.0.0.0/8"],
    proxy: { http: "http://ann:se%40cret@proxy:3128", https: "http://proxy", none: "a,b" },
  });
  expect(info).toEqual({
    RegistryConfig: {
      InsecureRegistryCIDRs: ["10.0.0.0/8", "127.0.0.0/8"],
      IndexConfigs: {
        "docker.io": {
          Name: "docker.io",
          Mirrors: ["https://mirror.example/"],
          Secure: true,
          Official: true,
        },
        "quay.example": {
          Name: "quay.example",
          Mirrors: ["http://m:5000/path/"],
          Secure: true,
          Official: false,
        },
        "plain.example:5000": { Name: "plain.example:5000", Mirrors: [], Secure: false, Official: false },
      },
      Mirrors: ["https://mirror.example/"],
    },
    HttpProxy: "http://xxxxx:xxxxx@proxy:3128",
    HttpsProxy: "http://proxy",
    NoProxy: "a,b",
  });
});
