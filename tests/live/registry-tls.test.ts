/** `wherry registry serve` over TLS with users and rights, on an address that nobody trusts by name: docker, wherry and skopeo. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { addAddress } from "#kernel/network/addresses.ts";
import { Netlink } from "#kernel/network/netlink.ts";
import { inNamespace } from "#kernel/network/netns.ts";
import { dockerCli, EngineUnderTest } from "./engine-under-test.ts";
import { ServedRegistry } from "./served-registry.ts";

const skopeo = Bun.which("skopeo");
const openssl = Bun.which("openssl");
const address = "192.0.2.7";
const host = `${address}:5443`;
let engine: EngineUnderTest;
let served: ServedRegistry;
let certs: string;

async function makeCertificate(directory: string): Promise<void> {
  const subject = ["-subj", "/CN=registry", "-addext", `subjectAltName=IP:${address}`];
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "key.pem"];
  const args = ["req", "-x509", "-days", "2", ...key, "-out", "cert.pem", ...subject];
  const child = Bun.spawn([openssl ?? "openssl", ...args], { cwd: directory, stderr: "ignore" });
  if ((await child.exited) !== 0) throw new Error("openssl makes no certificate");
}

beforeAll(async () => {
  if (openssl === null) return;
  engine = await EngineUnderTest.start();
  const { directory, netns } = engine;
  certs = join(directory, "certs.d");
  await engine.stop();
  await engine.start("--registry-certs-dir", certs, "--max-download-attempts", "1");
  await engine.importBusybox();
  inNamespace(netns, () => {
    using netlink = new Netlink();
    addAddress(netlink, 1, { address, prefixLength: 32 });
  });
  await makeCertificate(directory);
  const hash = Bun.password.hashSync("secret", { algorithm: "bcrypt", cost: 4 });
  writeFileSync(join(directory, "users"), `ann:${hash}\nbob:${hash}\n`);
  const rights = [
    { users: ["ann"], repositories: ["*"], actions: ["pull", "push", "delete"] },
    { users: ["bob"], repositories: ["team/*"], actions: ["pull"] },
  ];
  const config = join(directory, "registry.json");
  writeFileSync(config, JSON.stringify({ htpasswd: join(directory, "users"), rights }));
  const tls = ["--tls-cert", join(directory, "cert.pem"), "--tls-key", join(directory, "key.pem")];
  const flags = ["--root", join(directory, "served"), "--addr", host, "--config", config, ...tls];
  served = await ServedRegistry.start(flags, { netns });
}, 30_000);
afterAll(async () => {
  await served?.[Symbol.asyncDispose]();
  await engine?.[Symbol.asyncDispose]();
});

async function ask(program: string, ...args: string[]) {
  const { code, stdout, stderr } = await engine.cli(program, args);
  return { code, said: stdout + stderr };
}

async function ok(program: string, ...args: string[]): Promise<string> {
  const { code, said } = await ask(program, ...args);
  if (code !== 0) throw new Error(`${program} ${args.join(" ")}: exit ${code}: ${said}`);
  return said;
}

test.skipIf(openssl === null || dockerCli === null)(
  "nobody is spoken to whose certificate is unknown; with it, each may do what is his",
  async () => {
    const name = `${host}/team/x:1`;
    await ok("docker", "tag", "busybox", name);
    expect((await ask("docker", "push", name)).said).toContain("certificate signed by unknown authority");
    // A changed folder counts after a restart.
    mkdirSync(join(certs, host), { recursive: true });
    copyFileSync(join(engine.directory, "cert.pem"), join(certs, host, "ca.crt"));
    await engine.stop();
    await engine.start("--registry-certs-dir", certs, "--max-download-attempts", "1");
    expect((await ask("docker", "push", name)).said).toContain("no basic auth credentials");
    await ok("docker", "login", "-u", "ann", "-p", "secret", host);
    expect(await ok("docker", "push", name)).toContain("digest: sha256:");
    expect(await ok("wherry", "push", name)).toContain("Layer already exists");
    await ok("docker", "logout", host);
    await ok("wherry", "login", "-u", "bob", "-p", "secret", host);
    await ok("docker", "rmi", name, "busybox");
    expect(await ok("wherry", "run", "--rm", name, "echo", "over TLS")).toContain("over TLS");
    await ok("docker", "tag", name, `${host}/team/x:2`);
    const refused = await ask("docker", "push", `${host}/team/x:2`);
    expect([refused.code, /denied/i.test(refused.said)]).toEqual([1, true]);
    await ok("docker", "tag", name, `${host}/other:1`);
    expect((await ask("docker", "pull", `${host}/other:1`)).code).toBe(1);
    const wrong = await ask("docker", "login", "-u", "bob", "-p", "wrong", host);
    expect(wrong.said).toContain("401 Unauthorized");
  },
  60_000,
);

test.skipIf(openssl === null || skopeo === null)(
  "skopeo copies in and out with the certificate",
  async () => {
    const trusted = join(engine.directory, "skopeo-certs");
    mkdirSync(trusted);
    copyFileSync(join(engine.directory, "cert.pem"), join(trusted, "ca.crt"));
    const [from, to] = [`docker://${host}/team/x:1`, `docker://${host}/copied/y:1`];
    const creds = ["--src-creds", "ann:secret", "--dest-creds", "ann:secret"];
    const directories = ["--src-cert-dir", trusted, "--dest-cert-dir", trusted];
    await ok("skopeo", "copy", "--insecure-policy", ...creds, ...directories, from, to);
    const out = [
      "--src-creds",
      "ann:secret",
      "--src-cert-dir",
      trusted,
      to,
      `dir:${join(engine.directory, "out")}`,
    ];
    await ok("skopeo", "copy", "--insecure-policy", ...out);
    const args = ["inspect", "--cert-dir", trusted, "--creds", "bob:secret", "--format", "{{.Name}}"];
    expect((await ask("skopeo", ...args, to)).code).toBe(1);
    expect(await ok("skopeo", ...args, from)).toContain("team/x");
  },
  60_000,
);
