/** Pure. `--publish` and `--expose`. */
import type { PortBinding } from "#spec/container.ts";
import { Fault } from "#spec/fault.ts";

const portPattern = /^(?:(\[[^\]]*\]|[^:/]*):)??(?:(\d*(?:-\d+)?):)?(\d+(?:-\d+)?)(?:\/([a-z]+))?$/i;

/**
 * `[[IP:][HOST]:]CONTAINER[/PROTOCOL]`, each side a port or a range, or `published=…,target=…,protocol=…`.
 * @throws Fault `invalid` in docker's words.
 */
export function publishedPorts(specs: readonly string[]): {
  exposed: string[];
  bindings: Record<string, PortBinding[]>;
} {
  const bindings: Record<string, PortBinding[]> = {};
  for (const given of specs) {
    const spec = given.includes("=") ? standardNotation(given) : given;
    const match = portPattern.exec(spec);
    if (match === null) throw new Fault("invalid", `invalid containerPort: ${spec}`);
    const [, ip = "", host = "", container = "", protocol = "tcp"] = match;
    const inside = range(container);
    const outside = host === "" ? undefined : range(host);
    if (outside !== undefined && outside.length !== inside.length && inside.length !== 1)
      throw new Fault(
        "invalid",
        `invalid ranges specified for container and host Ports: ${container} and ${host}`,
      );
    for (const [index, port] of inside.entries()) {
      const hostPort = outside === undefined ? "" : inside.length === 1 ? host : String(outside[index]);
      const key = `${port}/${protocol.toLowerCase()}`;
      bindings[key] = [
        ...(bindings[key] ?? []),
        { HostIp: ip.replace(/^\[(.*)\]$/, "$1"), HostPort: hostPort },
      ];
    }
  }
  return { exposed: Object.keys(bindings), bindings };
}

function standardNotation(spec: string): string {
  const params: Record<string, string> = { protocol: "tcp" };
  for (const field of spec.split(",")) {
    const at = field.indexOf("=");
    if (at <= 0)
      throw new Fault("invalid", `invalid publish opts format (should be name=value but got '${field}')`);
    params[field.slice(0, at)] = field.slice(at + 1);
  }
  return `${params["published"] ?? ""}:${params["target"] ?? ""}/${params["protocol"]}`;
}

function range(spec: string): number[] {
  const [low = 0, high = low] = spec.split("-").map(Number);
  if (low < 1 || high > 65535 || low > high) throw new Fault("invalid", `invalid port range: ${spec}`);
  return Array.from({ length: high - low + 1 }, (_, index) => low + index);
}

export function exposedRange(spec: string): string[] {
  const [ports = "", protocol = "tcp"] = spec.split("/");
  if (!/^\d+(-\d+)?$/.test(ports))
    throw new Fault(
      "invalid",
      `invalid range format for --expose: ${spec}, error: strconv.ParseUint: parsing ${JSON.stringify(ports)}: invalid syntax`,
    );
  return range(ports).map((port) => `${port}/${protocol.toLowerCase()}`);
}
