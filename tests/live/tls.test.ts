/** TLS on tcp:// hosts, as docker's clients speak it. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { dockerCli, EngineUnderTest } from "./engine-under-test.ts";
import * as pem from "./tls-certificates.ts";

const host = "tcp://127.0.0.1:12376";
let engine: EngineUnderTest;
/** Directories with `ca.pem`, `cert.pem` and `key.pem`, as docker's clients want them. */
let certificates: { readonly client: string; readonly stranger: string };

beforeAll(async () => {
  engine = await EngineUnderTest.start();
  const directory = (name: string, cert: string, key: string): string => {
    const path = join(engine.directory, name);
    mkdirSync(path);
    writeFileSync(join(path, "ca.pem"), pem.authority);
    writeFileSync(join(path, "cert.pem"), cert);
    writeFileSync(join(path, "key.pem"), key);
    return path;
  };
  const server = directory("server", pem.serverCertificate, pem.serverKey);
  certificates = {
    client: directory("client", pem.clientCertificate, pem.clientKey),
    stranger: directory("stranger", pem.strangerCertificate, pem.strangerKey),
  };
  await engine.stop();
  const files = ["ca", "cert", "key"].map(
    (name) => `--tls${name === "ca" ? "cacert" : name}=${server}/${name}.pem`,
  );
  await engine.start("--tlsverify", ...files, "--host", host);
  await engine.importBusybox();
});
afterAll(async () => {
  await engine[Symbol.asyncDispose]();
});

describe.skipIf(dockerCli === null)("docker --tlsverify (skipped without docker's CLI)", () => {
  const docker = async (who: "client" | "stranger", args: readonly string[], input = "") =>
    await engine.cli("docker", args, {
      input,
      env: { DOCKER_HOST: host, DOCKER_TLS_VERIFY: "1", DOCKER_CERT_PATH: certificates[who] },
    });

  test("runs, attaches with an input that ends, and executes", async () => {
    expect((await docker("client", ["version", "--format", "{{.Server.Os}}"])).stdout).toBe("linux\n");
    const echoed = await docker("client", ["run", "-i", "--rm", "busybox", "cat"], "through TLS\n");
    expect(echoed).toEqual({ code: 0, stdout: "through TLS\n", stderr: "" });
    await docker("client", ["run", "-d", "--name", "box", "busybox", "sleep", "1000"]);
    const counted = await docker("client", ["exec", "-i", "box", "wc", "-c"], "x".repeat(300_000));
    expect(counted.stdout.trim()).toBe("300000");
  });

  test("a client with a stranger's certificate, or none, is turned away", async () => {
    const stranger = await docker("stranger", ["version"]);
    expect(stranger.code).not.toBe(0);
    expect(stranger.stdout).not.toContain("Server:");
    const none = await engine.cli(
      "docker",
      ["--tls", "--tlscacert", `${certificates.client}/ca.pem`, "version"],
      {
        env: { DOCKER_HOST: host, DOCKER_CERT_PATH: engine.directory },
      },
    );
    expect(none.stdout).not.toContain("Server:");
  });
});

describe("wherry over TLS", () => {
  const wherry = async (who: "client" | "stranger", args: readonly string[], input = "") =>
    await engine.cli("wherry", args, {
      input,
      env: { WHERRY_HOST: host, DOCKER_TLS_VERIFY: "1", DOCKER_CERT_PATH: certificates[who] },
    });

  test("runs, attaches with an input that ends, executes, saves and loads, by environment and by flags", async () => {
    const echoed = await wherry("client", ["run", "-i", "--rm", "busybox", "cat"], "through TLS\n");
    expect(echoed).toEqual({ code: 0, stdout: "through TLS\n", stderr: "" });
    await wherry("client", ["run", "-d", "--name", "held", "busybox", "sleep", "1000"]);
    const counted = await wherry("client", ["exec", "-i", "held", "wc", "-c"], "x".repeat(300_000));
    expect(counted.stdout.trim()).toBe("300000");
    const archive = join(engine.directory, "busybox.tar");
    expect((await wherry("client", ["save", "-o", archive, "busybox"])).code).toBe(0);
    const files = ["ca", "cert", "key"].map(
      (name) => `--tls${name === "ca" ? "cacert" : name}=${certificates.client}/${name}.pem`,
    );
    const flags = ["--host", host, "--tlsverify", ...files];
    const loaded = await engine.cli("wherry", [...flags, "load", "-i", archive]);
    expect(loaded).toMatchObject({ code: 0, stdout: "Loaded image: busybox:latest\n" });
    const context = join(engine.directory, "context");
    mkdirSync(context);
    writeFileSync(join(context, "Dockerfile"), "FROM busybox\nCOPY Dockerfile /\n");
    expect(await wherry("client", ["build", "-q", context])).toMatchObject({ code: 0, stderr: "" });
    const words = await engine.cli("wherry", ["__complete", ...flags, "stop", "he"]);
    expect(words.stdout).toContain("held\t");
  }, 30_000);

  test("neither side talks to who is not trusted, and files that are missing are named", async () => {
    const stranger = await wherry("stranger", ["version"]);
    expect(stranger.code).not.toBe(0);
    expect(stranger.stdout).not.toContain("Server:");
    const ca = ["--tlscacert", `${certificates.stranger}/cert.pem`];
    const doubted = await wherry("client", [...ca, "info"]);
    expect([doubted.code, doubted.stderr]).toEqual([
      1,
      expect.stringContaining("x509: certificate signed by unknown authority"),
    ]);
    const attached = await wherry("client", [...ca, "exec", "held", "true"]);
    expect(attached.stderr).toContain("x509: certificate signed by unknown authority");
    const lost = await engine.cli("wherry", ["-H", host, "--tls", "--tlscert", "/nowhere.pem", "ps"]);
    expect([lost.code, lost.stderr]).toEqual([
      1,
      expect.stringContaining('could not read X509 key pair "/nowhere.pem"'),
    ]);
    // Not verified, but the engine wants to know who comes.
    const nobody = await engine.cli("wherry", ["-H", host, "--tls", "ps"]);
    expect(nobody.code).toBe(1);
  }, 30_000);
});

test("a client that speaks no TLS gets no answer", async () => {
  const script = `
    const socket = require("node:net").connect(12376, "127.0.0.1");
    socket.on("error", () => undefined);
    socket.on("data", (part) => process.stdout.write(part.toString("latin1")));
    socket.write("GET /version HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n");
    socket.on("close", () => process.exit(0));`;
  const { stdout } = await engine.cli(process.execPath, ["-e", script]);
  expect(stdout).not.toContain("ApiVersion");
});

test("a file that is not there is named", async () => {
  const { code, stderr } = await engine.cli(process.execPath, [
    join(import.meta.dir, "../../src/bin/wherryd.ts"),
    ...["--data-root", join(engine.directory, "other"), "--exec-root", join(engine.directory, "other-exec")],
    ...["--tlsverify", "--tlscert", "/nowhere.pem", "--host", "tcp://127.0.0.1:12377"],
  ]);
  expect(code).toBe(1);
  expect(stderr).toContain("could not read the certificate /nowhere.pem");
});
