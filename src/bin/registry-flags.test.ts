import { describe, expect, test } from "bun:test";
import { decideOptions, parseCommandLine, parseConfigFile } from "./daemon-options.ts";

function decide(args: string[], file = "{}", environment: Record<string, string> = {}) {
  return decideOptions(parseCommandLine(args), parseConfigFile(file, "f"), environment).registry;
}

describe("registries", () => {
  test("as dockerd is told of them", () => {
    const given = decide(
      ["--registry-mirror", "https://m", "--insecure-registry=10.0.0.0/8", "--insecure-registry", "r:5000"],
      '{"max-concurrent-downloads":7,"proxies":{"http-proxy":"http://p"}}',
      { HTTP_PROXY: "http://env", https_proxy: "http://lower", NO_PROXY: "x" },
    );
    expect(given).toMatchObject({
      mirrors: ["https://m"],
      insecure: ["10.0.0.0/8", "r:5000"],
      maxDownloads: 7,
      proxy: { http: "http://p", https: "http://lower", none: "x" },
    });
    expect(given.certificates).toEqual(["/etc/wherry/certs.d", "/etc/docker/certs.d"]);
  });

  test.each([
    [["--max-concurrent-downloads", "0"], "{}", "want a whole number"],
    [["--registry-mirror", "nowhere"], "{}", "invalid mirror"],
    [[], '{"max-concurrent-uploads":0}', "max-concurrent-uploads"],
    [["--registry-mirror", "https://m"], '{"registry-mirrors":["https://n"]}', "specified both"],
  ])("%p with %s is refused", (args, file, message) => {
    expect(() => decide(args, file)).toThrow(message);
  });
});
