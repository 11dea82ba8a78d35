/** Tokens from an authorization service (the distribution project's token and OAuth2 specifications). */
import * as v from "valibot";
import type { Credentials } from "#spec/credentials.ts";
import { Fault } from "#spec/fault.ts";
import { refusal, refusalBytesMax } from "./refusal.ts";
import { type Transport, wholeBody } from "./transport.ts";

const tokenBytesMax = 1 << 20;
const clientId = "wherry";
const tokenSchema = v.object({
  token: v.optional(v.string()),
  access_token: v.optional(v.string()),
  refresh_token: v.optional(v.string()),
});

export interface TokenRequest {
  readonly transport: Transport;
  readonly realm: URL;
  readonly service: string | undefined;
  readonly scopes: readonly string[];
  readonly credentials: Credentials | undefined;
  /** There are credentials, but not for this realm. */
  readonly withheld: boolean;
  readonly signal: AbortSignal;
}

/** @throws Fault `unauthorized` when the service refuses, `invalid` when it talks nonsense. */
export async function bearerToken(o: TokenRequest): Promise<string> {
  const answer =
    o.credentials?.identityToken === undefined
      ? await byGet(o)
      : await byRefresh(o, o.credentials.identityToken);
  if (answer.status !== 200) {
    const body = new TextDecoder().decode(
      await wholeBody(answer, refusalBytesMax, "the error").catch(() => new Uint8Array()),
    );
    const request = `${answer.url.origin}${answer.url.pathname}`;
    if (answer.status !== 401 && answer.status !== 403)
      throw refusal({ status: answer.status, request, body });
    const why = o.withheld
      ? `the credentials were not sent to ${o.realm.host}, which is not of the registry's domain: name it with --registry-auth-realm to allow that`
      : "incorrect username or password";
    throw new Fault("unauthorized", `Get ${JSON.stringify(request)}: unauthorized: ${why}`, {
      detail: { status: 401, code: "UNAUTHORIZED" },
    });
  }
  const text = new TextDecoder().decode(await wholeBody(answer, tokenBytesMax, "the token"));
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new Fault("invalid", `${o.realm.host} answers with something else than a token`, { cause });
  }
  const parsed = v.safeParse(tokenSchema, value);
  const token = parsed.success ? (parsed.output.token ?? parsed.output.access_token) : undefined;
  if (token === undefined || !/^[\x21-\x7e]+$/.test(token))
    throw new Fault("invalid", `${o.realm.host} answers with something else than a token`);
  return token;
}

async function byGet(o: TokenRequest) {
  const url = new URL(o.realm);
  if (o.service !== undefined) url.searchParams.set("service", o.service);
  for (const scope of o.scopes) url.searchParams.append("scope", scope);
  const { username, password } = o.credentials ?? {};
  const signed = username !== undefined && username !== "" && password !== undefined;
  if (signed) url.searchParams.set("account", username);
  const headers = signed && {
    Authorization: `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`,
  };
  return await o.transport.send({ method: "GET", url, signal: o.signal, ...(headers && { headers }) });
}

async function byRefresh(o: TokenRequest, refreshToken: string) {
  const form = new URLSearchParams({
    grant_type: "refresh_token",
    refresh_token: refreshToken,
    client_id: clientId,
    ...(o.service !== undefined && { service: o.service }),
    scope: o.scopes.join(" "),
  });
  return await o.transport.send({
    method: "POST",
    url: o.realm,
    headers: { "Content-Type": "application/x-www-form-urlencoded" },
    body: form.toString(),
    signal: o.signal,
  });
}
