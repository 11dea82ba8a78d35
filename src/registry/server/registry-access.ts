/**
 * Who may do what with which repository of the registry server.
 * Promises: a password is looked up in the file as it is now; a token is believed only with the configured key and the
 * algorithm that key is for: what its own header says of keys (`jwk`, `jku`, `x5c`, `kid`) is never looked at
 * (RFC 8725, 3.1, 3.10). Never: says which of name and password was wrong.
 */
import { createHmac, createPublicKey, type KeyObject, randomBytes, verify } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import * as v from "valibot";
import { Fault } from "#spec/fault.ts";
import { parseHtpasswd } from "./htpasswd.ts";
import { RegistryRefusal } from "./serve-fault.ts";

export type Action = "pull" | "push" | "delete";

/** Of names: `*` stands for any characters. */
export interface RightsRule {
  readonly users: readonly string[];
  readonly repositories: readonly string[];
  readonly actions: readonly Action[];
}

export interface AccessOptions {
  readonly htpasswd?: string;
  readonly token?: {
    /** PEM of the public key or a certificate. */
    readonly key: string;
    readonly issuer: string;
    readonly service: string;
    /** URL of who gives out tokens. */
    readonly realm: string;
  };
  /** Who does not say who they are may pull. */
  readonly anonymousPull: boolean;
  /** Without rules whoever signed in may do everything. */
  readonly rights?: readonly RightsRule[];
}

export interface Principal {
  /** Undefined: nobody said. */
  readonly user: string | undefined;
  /** A better token may say more. */
  readonly byToken: boolean;
  may(action: Action, repository: string): boolean;
  readonly mayList: boolean;
}

/** How long a password that was right is not computed again, and how many are remembered. */
const rememberedMs = 300_000;
const rememberedMax = 1000;
/** Clocks differ by as much. */
const skewS = 60;
const tokenBytesMax = 16 << 10;

const claimsSchema = v.object({
  iss: v.string(),
  aud: v.union([v.string(), v.array(v.string())]),
  sub: v.optional(v.string()),
  exp: v.number(),
  nbf: v.optional(v.number()),
  access: v.optional(
    v.nullable(v.array(v.object({ type: v.string(), name: v.string(), actions: v.array(v.string()) }))),
  ),
});

export class RegistryAccess {
  readonly #options: AccessOptions;
  readonly #key: { readonly key: KeyObject; readonly algorithm: string } | undefined;
  readonly #secret = randomBytes(32);
  readonly #remembered = new Map<string, number>();
  #users: { readonly mtimeMs: number; readonly hashes: ReadonlyMap<string, string> } | undefined;

  /** @throws Fault `invalid` for a key no algorithm is known for. */
  constructor(options: AccessOptions) {
    this.#options = options;
    if (options.token === undefined) return;
    let key: KeyObject;
    try {
      key = createPublicKey(options.token.key);
    } catch (cause) {
      throw new Fault("invalid", "the token key is no public key in PEM", { cause });
    }
    this.#key = { key, algorithm: algorithmFor(key) };
  }

  /** @throws RegistryRefusal `UNAUTHORIZED` for credentials that are wrong. */
  async principal(authorization: string | null): Promise<Principal> {
    const { htpasswd, token, anonymousPull } = this.#options;
    if (htpasswd === undefined && token === undefined)
      return { user: undefined, byToken: false, may: () => true, mayList: true };
    if (authorization === null)
      return {
        user: undefined,
        byToken: false,
        may: (action) => anonymousPull && action === "pull",
        mayList: anonymousPull,
      };
    const [, scheme = "", value = ""] = /^(\S+) +(\S+)$/.exec(authorization.trim()) ?? [];
    if (token !== undefined && scheme.toLowerCase() === "bearer") return this.#bearer(value);
    if (htpasswd !== undefined && scheme.toLowerCase() === "basic") return await this.#basic(value, htpasswd);
    throw this.challenge([]);
  }

  /** @throws RegistryRefusal: unauthorised when nobody signed in or a token does not say enough, denied otherwise. */
  require(principal: Principal, action: Action, repository: string): void {
    if (principal.may(action, repository)) return;
    if (principal.user === undefined || principal.byToken)
      throw this.challenge([`repository:${repository}:${action === "push" ? "pull,push" : action}`]);
    throw new RegistryRefusal("DENIED", `${principal.user} may not ${action} ${repository}`);
  }

  requireList(principal: Principal): void {
    if (!principal.mayList) throw this.challenge(["registry:catalog:*"]);
  }

  /** Whether `/v2/` itself is for whoever signed in. */
  requireBase(principal: Principal): void {
    if (principal.user === undefined && !this.#options.anonymousPull && this.#isClosed)
      throw this.challenge([]);
  }

  get #isClosed(): boolean {
    return this.#options.htpasswd !== undefined || this.#options.token !== undefined;
  }

  /** Those of every kind there is; a token first, as clients take the first they know. */
  challenge(scopes: readonly string[]): RegistryRefusal {
    const { token, htpasswd } = this.#options;
    const challenges: string[] = [];
    const scope = scopes.length === 0 ? "" : `,scope="${scopes.join(" ")}"`;
    if (token !== undefined)
      challenges.push(`Bearer realm="${token.realm}",service="${token.service}"${scope}`);
    if (htpasswd !== undefined) challenges.push('Basic realm="wherry registry"');
    return new RegistryRefusal("UNAUTHORIZED", "authentication required", {
      headers: { "WWW-Authenticate": challenges.join(", ") },
    });
  }

  async #basic(value: string, path: string): Promise<Principal> {
    const text = Buffer.from(value, "base64").toString("utf8");
    const colon = text.indexOf(":");
    const user = text.slice(0, Math.max(0, colon));
    const hash = (await this.#hashes(path)).get(user);
    const password = text.slice(colon + 1);
    const right = await this.#isRight(password, hash);
    if (!right || hash === undefined || colon < 1) throw this.challenge([]);
    const { rights } = this.#options;
    const may = (action: Action, repository: string) =>
      rights === undefined ||
      rights.some(
        (rule) =>
          rule.actions.includes(action) &&
          rule.users.some((each) => fits(each, user)) &&
          rule.repositories.some((each) => fits(each, repository)),
      ) ||
      (action === "pull" && this.#options.anonymousPull);
    return { user, byToken: false, may, mayList: true };
  }

  /** Takes as long for a name that nobody has. */
  async #isRight(password: string, hash: string | undefined): Promise<boolean> {
    const stored = hash ?? nobodysHash;
    const mark = createHmac("sha256", this.#secret).update(`${stored}\0${password}`).digest("base64");
    const until = this.#remembered.get(mark);
    if (until !== undefined && until > Date.now()) return true;
    const right = await Bun.password.verify(password, stored).catch(() => false);
    if (!right || hash === undefined) return false;
    const [oldest] = this.#remembered.keys();
    if (this.#remembered.size >= rememberedMax && oldest !== undefined) this.#remembered.delete(oldest);
    this.#remembered.set(mark, Date.now() + rememberedMs);
    return true;
  }

  async #hashes(path: string): Promise<ReadonlyMap<string, string>> {
    const { mtimeMs } = await stat(path);
    if (this.#users?.mtimeMs !== mtimeMs)
      this.#users = { mtimeMs, hashes: parseHtpasswd(await readFile(path, "utf8"), path) };
    return this.#users.hashes;
  }

  #bearer(value: string): Principal {
    const { token } = this.#options;
    const claims = this.#claims(value);
    const now = Date.now() / 1000;
    const audience = typeof claims?.aud === "string" ? [claims.aud] : (claims?.aud ?? []);
    if (
      claims === undefined ||
      claims.iss !== token?.issuer ||
      !audience.includes(token.service) ||
      claims.exp < now - skewS ||
      (claims.nbf ?? 0) > now + skewS
    )
      throw this.challenge([]);
    const access = claims.access ?? [];
    const has = (type: string, name: string, action: string) =>
      access.some(
        (each) =>
          each.type === type &&
          each.name === name &&
          (each.actions.includes(action) || each.actions.includes("*")),
      );
    return {
      user: claims.sub ?? "",
      byToken: true,
      may: (action, repository) =>
        has("repository", repository, action) || (action === "pull" && this.#options.anonymousPull),
      mayList: has("registry", "catalog", "*"),
    };
  }

  /** Undefined for everything that is not signed with the key. */
  #claims(value: string): v.InferOutput<typeof claimsSchema> | undefined {
    const [head = "", body = "", signature = "", ...more] = value.split(".");
    if (this.#key === undefined || more.length > 0 || value.length > tokenBytesMax) return undefined;
    try {
      const header = JSON.parse(Buffer.from(head, "base64url").toString()) as { alg?: unknown };
      if (header.alg !== this.#key.algorithm) return undefined;
      const given = Buffer.from(signature, "base64url");
      const signed = Buffer.from(`${head}.${body}`);
      const isEd = this.#key.algorithm === "EdDSA";
      const hash = isEd ? null : `sha${this.#key.algorithm.slice(2)}`;
      if (!verify(hash, signed, { key: this.#key.key, dsaEncoding: "ieee-p1363" }, given)) return undefined;
      const claims = v.safeParse(claimsSchema, JSON.parse(Buffer.from(body, "base64url").toString()));
      return claims.success ? claims.output : undefined;
    } catch {
      return undefined;
    }
  }
}

/** Of no password; cost 10. */
const nobodysHash = "$2b$10$CwTycUXWue0Thq9StjUM0uJ8.0dQZyhHqEw6qQFx5x0xqfxXK5X5u";

/** One algorithm for each kind of key (RFC 7518, 3.1; RFC 8037). */
function algorithmFor(key: KeyObject): string {
  const curve = key.asymmetricKeyDetails?.namedCurve;
  if (key.asymmetricKeyType === "rsa") return "RS256";
  if (key.asymmetricKeyType === "ed25519") return "EdDSA";
  const curves: Readonly<Record<string, string>> = { prime256v1: "ES256", secp384r1: "ES384" };
  const algorithm = curves[curve ?? ""];
  if (algorithm === undefined)
    throw new Fault("invalid", "the token key must be RSA, Ed25519, P-256 or P-384");
  return algorithm;
}

function fits(pattern: string, name: string): boolean {
  const parts = pattern.split("*").map((part) => part.replace(/[.\\+?^${}()|[\]]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`, "s").test(name);
}
