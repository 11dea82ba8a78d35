import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TLSSocket } from "node:tls";
import { refuse, ScriptedRegistry } from "#registry/scripted-registry.ts";
import { Fault } from "#spec/fault.ts";
import { parseReference } from "#spec/reference.ts";
import { Arrivals } from "#store/arrivals.ts";
import { certificatesOf } from "./certificates.ts";
import { Registry } from "./registry.ts";
import { defaultRegistryOptions } from "./registry-options.ts";

// Made for these tests, for 127.0.0.3, good for a hundred years.
const authority = `-----BEGIN CERTIFICATE-----
MIIBijCCAS+gAwIBAgIULaAtMAfVEh9cVmfhYjoAPCC7AeQwCgYIKoZIzj0EAwIw
GTEXMBUGA1UEAwwOdGVzdCBhdXRob3JpdHkwIBcNMjYxMTI2MjI1NTEwWhgPMjEy
NjExMDIyMjU1MTBaMBkxFzAVBgNVBAMMDnRlc3QgYXV0aG9yaXR5MFkwEwYHKoZI
zj0CAQYIKoZIzj0DAQcDQgAEgvjf93OJnrULawXr7iOIiOqrCSzHzPWfUK4J/0R/
HGRGMWi6ANAR/GAwJCHxSUc9YDiU0N8/Fj9WYNAvbtACpqNTMFEwHQYDVR0OBBYE
FHJtwxqcitpwkkorxA+ZCYh8b97DMB8GA1UdIwQYMBaAFHJtwxqcitpwkkorxA+Z
CYh8b97DMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSQAwRgIhAKtftDOK
KiXi7rHelyGEj9jUMlHhL6izHNJaJdy+CSd7AiEAyIIvgaCZjvCgIoY1ASSXtYea
alXcrXpzFkf2KrxYj3Q=
-----END CERTIFICATE-----
`;
const serverCertificate = `-----BEGIN CERTIFICATE-----
MIIBkDCCATagAwIBAgIUDuTPCTIzbge/RQryskyogaWJZ1swCgYIKoZIzj0EAwIw
GTEXMBUGA1UEAwwOdGVzdCBhdXRob3JpdHkwIBcNMjYxMTI2MjI1NTEwWhgPMjEy
NjExMDIyMjU1MTBaMBExDzANBgNVBAMMBnNlcnZlcjBZMBMGByqGSM49AgEGCCqG
SM49AwEHA0IABEvcUE1uUxoxGYA5VruWCs9kI6vNOynzdhfteJy2kijT4VCyiq2R
RSOXf0NAt31jRoS81u+5J7unzplVZvB76POjYjBgMB4GA1UdEQQXMBWCDXJlZ2lz
dHJ5LnRlc3SHBH8AAAMwHQYDVR0OBBYEFF8k5Sqdk64bWmiud0ixYl+8i+QWMB8G
A1UdIwQYMBaAFHJtwxqcitpwkkorxA+ZCYh8b97DMAoGCCqGSM49BAMCA0gAMEUC
IQD6T9FqJ3EbJfCP2zW1WAYHsliuTRqnJkD/udk5j9kmQwIgG+Nyzebnqn5qeyLM
LpBmN927g/DuhvW64CaGO/SPRdI=
-----END CERTIFICATE-----
`;
const serverKey = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg+Hlpt9W5gDUWj6rC
Pd7RTEvWOl+opmo0MytgHT48zfOhRANCAARL3FBNblMaMRmAOVa7lgrPZCOrzTsp
83YX7XictpIo0+FQsoqtkUUjl39DQLd9Y0aEvNbvuSe7p86ZVWbwe+jz
-----END PRIVATE KEY-----
`;
const clientCertificate = `-----BEGIN CERTIFICATE-----
MIIBkDCCATagAwIBAgIUDuTPCTIzbge/RQryskyogaWJZ1wwCgYIKoZIzj0EAwIw
GTEXMBUGA1UEAwwOdGVzdCBhdXRob3JpdHkwIBcNMjYxMTI2MjI1NTEwWhgPMjEy
NjExMDIyMjU1MTBaMBExDzANBgNVBAMMBmNsaWVudDBZMBMGByqGSM49AgEGCCqG
SM49AwEHA0IABAWsAWICbG6fgZ7VNofgOEjC5n8R/vUv4Hcer97k5GBfBfyicjeq
FrPloHXRnO93eywidhxEgCjlLgRfALDNWZOjYjBgMB4GA1UdEQQXMBWCDXJlZ2lz
dHJ5LnRlc3SHBH8AAAMwHQYDVR0OBBYEFAbW3HmISJvA+Tgdpa3CEKylQgd6MB8G
A1UdIwQYMBaAFHJtwxqcitpwkkorxA+ZCYh8b97DMAoGCCqGSM49BAMCA0gAMEUC
IQC8mZ88iwrA2j4oRAtclZx8z/qC7bbFLRZvzExL/Wlx2AIgBrZICMqxpjKiDj39
vM5tdPlx29LN3ThfDg/12bAPRzo=
-----END CERTIFICATE-----
`;
const clientKey = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQggujdqpcLSeXgT0/k
aiWDpxY8AA9PXQzKHWOn2n6gQf+hRANCAAQFrAFiAmxun4Ge1TaH4DhIwuZ/Ef71
L+B3Hq/e5ORgXwX8onI3qhaz5aB10Zzvd3ssInYcRIAo5S4EXwCwzVmT
-----END PRIVATE KEY-----
`;

const signal = new AbortController().signal;
let root: string;
let remote: ScriptedRegistry;

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "wherry-certificates-"));
  remote = await ScriptedRegistry.start({
    hostname: "127.0.0.3",
    tls: {
      key: serverKey,
      cert: serverCertificate,
      ca: [authority],
      requestCert: true,
      rejectUnauthorized: false,
    },
  });
  remote.addManifest("app", "1", { schemaVersion: 2, config: {}, layers: [] });
  remote.scripts.push((request, response) => {
    if ((request.socket as TLSSocket).authorized || !request.url?.includes("manifests")) return false;
    refuse(response, 403, "DENIED", "show a certificate");
    return true;
  });
});
afterAll(async () => {
  await remote[Symbol.asyncDispose]();
  rmSync(root, { recursive: true });
});

/** A directory of certificates for the registry. */
function directory(name: string, files: Record<string, string>): string {
  const path = join(root, name);
  mkdirSync(join(path, remote.host), { recursive: true });
  for (const [file, text] of Object.entries(files)) writeFileSync(join(path, remote.host, file), text);
  return path;
}

async function pull(...certificates: string[]): Promise<string> {
  const options = { ...defaultRegistryOptions, certificates, retryDelayMs: 1 };
  const registry = new Registry({ options, arrivals: await Arrivals.open(join(root, "arrivals")) });
  const source = registry.source(parseReference(`${remote.host}/app:1`), { signal });
  try {
    return (await source.manifest("1", signal)).digest;
  } catch (thrown) {
    return Fault.from(thrown).message;
  }
}

const shown = { "ca.crt": authority, "client.cert": clientCertificate, "client.key": clientKey };

test("an authority of its own, and a client certificate to show", async () => {
  expect(await pull(directory("whole", shown))).toStartWith("sha256:");
  expect(await pull(directory("no-client", { "ca.crt": authority }))).toContain("show a certificate");
  expect(await pull(join(root, "missing"), join(root, "whole"))).toStartWith("sha256:");
});

test("an authority that did not sign it is not believed", async () => {
  const message = await pull(directory("wrong", { ...shown, "ca.crt": clientCertificate }));
  expect(message).toContain("tls: failed to verify certificate");
});

test("half a pair is refused, and no host leads out of the directory", async () => {
  expect(await pull(directory("half", { "client.cert": clientCertificate }))).toContain("missing key");
  expect(await certificatesOf("../whole", [root])).toEqual({ authorities: [] });
});
