/** Pulling, for the commands that need an image before they can begin. */

import { type CliIo, write } from "#cli/flags/command.ts";
import { headerFor } from "#cli/place/credentials.ts";
import type { Client } from "#client/client.ts";
import { Fault } from "#spec/fault.ts";
import { parseReference, withDefaultTag } from "#spec/reference.ts";
import { showProgress } from "./progress-display.ts";

export interface PullOptions {
  readonly platform?: string | undefined;
  readonly quiet: boolean;
  /** Every tag. */
  readonly all?: boolean;
}

/** Shows on `to` how it goes. */
export async function pullImage(
  io: CliIo,
  client: Client,
  image: string,
  to: NodeJS.WriteStream,
  o: PullOptions,
): Promise<void> {
  const reference = o.all === true ? parseReference(image) : withDefaultTag(parseReference(image));
  const stop = new AbortController();
  using _ = io.onSignals(["SIGINT", "SIGTERM"], () => stop.abort(new Fault("cancelled", "context canceled")));
  const messages = client.images.pull({
    name: image.replace(/[:@][^/]*$/, ""),
    ...(o.all !== true && { tag: reference.digest ?? reference.tag }),
    platform: o.platform,
    auth: await headerFor(io, image),
    signal: stop.signal,
  });
  if (!o.quiet) return await showProgress(messages, to);
  for await (const { error } of messages) if (error !== undefined) throw new Fault("internal", error);
}

/**
 * Makes something of an image, and pulls it as `--pull` says: before (`always`), when it turns out to be `missing`, `never`.
 * @throws Fault `invalid` for another word.
 */
export async function withImage<T>(
  io: CliIo,
  client: Client,
  image: string,
  o: PullOptions & { readonly when: string },
  make: () => Promise<T>,
): Promise<T> {
  if (!["always", "missing", "never", ""].includes(o.when))
    throw new Fault(
      "invalid",
      `invalid pull option: '${o.when}': must be one of "always", "missing" or "never"`,
    );
  if (o.when === "always") await pullImage(io, client, image, io.stderr, o);
  try {
    return await make();
  } catch (thrown) {
    const fault = Fault.from(thrown);
    const absent =
      fault.message.startsWith("No such image") || fault.message.startsWith("image with reference");
    if (fault.kind !== "not-found" || !absent) throw thrown;
    const shown = image.includes(":") || image.includes("@") ? image : `${image}:latest`;
    if (o.when === "never" || /^(sha256:)?[0-9a-f]{64}$/.test(image)) throw thrown;
    if (!o.quiet) await write(io.stderr, `Unable to find image '${shown}' locally\n`);
    await pullImage(io, client, image, io.stderr, o);
    return await make();
  }
}
