/** Pure. EXPOSE's port specifications. */
import { Fault } from "#spec/fault.ts";

/**
 * `80`, `80/udp`, `8000-8010`, also with a host part that is ignored, as keys of `ExposedPorts` (`80/tcp`).
 * @throws Fault `invalid` in Docker's words.
 */
export function exposedPorts(specifications: readonly string[]): string[] {
  return specifications.flatMap(exposedPort);
}

/** Ports are 16 bits wide. */
const highestPort = 65_535;

function exposedPort(specification: string): string[] {
  const container = specification.split(":").at(-1) ?? "";
  const slash = container.indexOf("/");
  const range = slash < 0 ? container : container.slice(0, slash);
  const protocol = (slash < 0 ? "" : container.slice(slash + 1)).toLowerCase() || "tcp";
  if (range === "") throw new Fault("invalid", `no port specified: ${specification}<empty>`);
  if (!["tcp", "udp", "sctp"].includes(protocol)) throw new Fault("invalid", `invalid proto: ${protocol}`);
  const [, lowText, highText] = /^(\d+)(?:-(\d+))?$/.exec(range) ?? [];
  const low = Number(lowText);
  const high = Number(highText ?? lowText);
  if (lowText === undefined || low > high || high > highestPort)
    throw new Fault("invalid", `invalid containerPort: ${range}`);
  return Array.from({ length: high - low + 1 }, (_, index) => `${low + index}/${protocol}`);
}
