/** Pure. Which networks a container is to be on, from what its request says. */
import type { ContainerRecord, EndpointSettings } from "#spec/container.ts";
import type { NetworkRecord } from "#spec/network.ts";

/**
 * By network name: those named in the request, or else the one of the network mode. Ids become names where the network is
 * there; one that is not shows when the container starts.
 */
export function wantedNetworks(
  mode: string | undefined,
  given: ContainerRecord["endpoints"],
  find: (reference: string) => Pick<NetworkRecord, "name"> | undefined,
): Record<string, EndpointSettings> {
  const main = mode === undefined || mode === "" || mode === "default" ? "bridge" : mode;
  if (main.startsWith("container:")) return {};
  const named = Object.entries(given).map(([reference, settings]): [string, EndpointSettings] => [
    find(reference)?.name ?? reference,
    settings,
  ]);
  return named.length > 0 ? Object.fromEntries(named) : { [find(main)?.name ?? main]: {} };
}
