/** Who a user is to a registry: `X-Registry-Auth` and the body of `POST /auth`. */
import * as v from "valibot";
import type { ApiRequest } from "#api/http/api-request.ts";
import type { Credentials } from "#spec/credentials.ts";
import { fields, text } from "#spec/docker-json.ts";
import { Fault } from "#spec/fault.ts";
import { defaultDomain, parseReference } from "#spec/reference.ts";

const headerBytesMax = 64 << 10;

export const authConfig = fields({
  username: text,
  password: text,
  auth: text,
  email: text,
  serveraddress: text,
  identitytoken: text,
  registrytoken: text,
});

/** Undefined when there are none. @throws Fault `invalid` for a header that is not base64 of JSON. */
export function credentialsOf({ headers }: ApiRequest): Credentials | undefined {
  const header = headers.get("x-registry-auth");
  if (header === undefined || header === "") return undefined;
  try {
    if (header.length > headerBytesMax || !/^[\w+/=-]+$/.test(header)) throw new Error("no base64");
    return toCredentials(
      v.parse(authConfig, JSON.parse(Buffer.from(header, "base64url").toString() || "{}")),
    );
  } catch (cause) {
    // The header's text is a secret, and so is what a parser says about it.
    throw new Fault("invalid", "invalid X-Registry-Auth header: it is not base64 of a JSON object", {
      cause,
    });
  }
}

const hubAddress = "https://index.docker.io/v1/";

/** `X-Registry-Config` of a build: who the user is to each registry. @throws Fault `invalid`. */
export function credentialsByImage({ headers }: ApiRequest): (image: string) => Credentials | undefined {
  const header = headers.get("x-registry-config") ?? "";
  let configs: Record<string, v.InferOutput<typeof authConfig>>;
  try {
    if (header.length > headerBytesMax || !/^[\w+/=-]*$/.test(header)) throw new Error("no base64");
    const text = Buffer.from(header, "base64url").toString();
    configs = v.parse(v.record(v.string(), authConfig), JSON.parse(text || "{}"));
  } catch (cause) {
    throw new Fault("invalid", "invalid X-Registry-Config header: it is not base64 of a JSON object", {
      cause,
    });
  }
  return (image) => {
    const { domain } = parseReference(image);
    const config = domain === defaultDomain ? configs[hubAddress] : configs[domain];
    return config === undefined ? undefined : toCredentials(config);
  };
}

export function toCredentials(config: v.InferOutput<typeof authConfig>): Credentials | undefined {
  const { username, password, identitytoken, registrytoken } = config;
  const found = {
    ...(username && { username }),
    ...(password && { password }),
    ...(identitytoken && { identityToken: identitytoken }),
    ...(registrytoken && { registryToken: registrytoken }),
  };
  return Object.keys(found).length === 0 ? undefined : found;
}
