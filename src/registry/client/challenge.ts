/**
 * What a registry asks for before it answers (RFC 9110 section 11, the distribution project's token specification).
 * Pure.
 */

export interface Challenge {
  /** In lower case. */
  readonly scheme: string;
  readonly parameters: Readonly<Record<string, string>>;
}

/** A header longer than this is not read. */
const headerCharsMax = 8192;

/** The challenges of one or more `WWW-Authenticate` headers joined by commas; what makes no sense is skipped. */
export function parseChallenges(header: string): Challenge[] {
  const challenges: { scheme: string; parameters: Record<string, string> }[] = [];
  const token = /\s*,?\s*([A-Za-z0-9!#$%&'*+.^_`|~-]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*)))?/y;
  const text = header.slice(0, headerCharsMax);
  for (let match = token.exec(text); match !== null; match = token.exec(text)) {
    const [, name = "", quoted, plain] = match;
    const current = challenges.at(-1);
    if (quoted === undefined && plain === undefined)
      challenges.push({ scheme: name.toLowerCase(), parameters: Object.create(null) });
    else if (current !== undefined)
      current.parameters[name.toLowerCase()] ??= quoted?.replace(/\\(.)/g, "$1") ?? plain ?? "";
  }
  return challenges;
}

/**
 * True when credentials of `registryHost` may be shown to `realm`: over HTTPS unless the registry itself has none, and only
 * to the registry's own host, another of its domain, Docker's for Docker's registry, or one that is `trusted`.
 */
export function realmFits(
  realm: URL,
  registry: { readonly host: string; readonly isPlain: boolean },
  trusted: readonly string[],
): boolean {
  if (realm.protocol !== "https:" && !(realm.protocol === "http:" && registry.isPlain)) return false;
  if (trusted.includes(realm.host) || trusted.includes(realm.hostname)) return true;
  const own = new URL(`https://${registry.host}`).hostname;
  return (
    realm.hostname === own ||
    (isName(own) && isName(realm.hostname) && parent(own) === parent(realm.hostname))
  );
}

function isName(hostname: string): boolean {
  return !hostname.startsWith("[") && /[a-z]/.test(hostname.slice(hostname.lastIndexOf(".") + 1));
}

/** Under which anybody can have a name of his own. */
const publicSuffixes =
  /\.(?:(?:co|com|org|net|gov|edu|ac)\.[a-z]{2}|github\.io|[a-z0-9-]+\.amazonaws\.com|azurecr\.io|cloudfront\.net)$/;

/** The domain that two hosts of one owner share; the name itself where only strangers would share it. */
function parent(name: string): string {
  const labels = name.split(".");
  const kept = publicSuffixes.test(`.${name}`) ? 3 : 2;
  return labels.length <= kept ? name : labels.slice(-kept).join(".");
}
