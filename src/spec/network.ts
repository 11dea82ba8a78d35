/** A port opened for a container, as it is on the host. */
export interface PublishedPort {
  readonly protocol: "tcp" | "udp";
  readonly containerPort: number;
  /** `0.0.0.0`, `::` or a literal address. */
  readonly hostIp: string;
  readonly hostPort: number;
}

/** What one container has on one network. */
export interface Endpoint {
  readonly networkId: string;
  readonly networkName: string;
  readonly endpointId: string;
  readonly ipAddress: string;
  readonly prefixLength: number;
  readonly gateway: string;
  readonly macAddress: string;
  readonly interfaceName: string;
}

/** A network namespace with its endpoints, as made for one container. */
export interface Sandbox {
  /** A path that `setns` and an OCI runtime accept; absent in host mode. */
  readonly netnsPath?: string;
  readonly endpoints: readonly Endpoint[];
  readonly ports: readonly PublishedPort[];
}

export interface NetworkRecord {
  readonly id: string;
  readonly name: string;
  readonly driver: "bridge" | "host" | "null";
  /** RFC 3339. */
  readonly created: string;
  readonly subnet: string;
  readonly gateway: string;
  readonly bridgeName: string;
  readonly options: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
}
