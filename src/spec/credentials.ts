/** What a user signed in to a registry with, as Docker's clients send it in `X-Registry-Auth`. */
export interface Credentials {
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  /** Exchanged for tokens instead of a password. */
  readonly identityToken?: string | undefined;
  /** Shown to the registry as it is. */
  readonly registryToken?: string | undefined;
}
