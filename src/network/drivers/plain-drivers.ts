/** Networks without anything of their own: the host's, and none. */
import type { NetworkDriver } from "./driver.ts";

function plain(name: string): NetworkDriver {
  return {
    name,
    single: true,
    addressed: false,
    routed: false,
    hostPrefix: "",
    check: () => undefined,
    hasGateway: () => false,
    device: () => "",
    share: () => undefined,
    present: () => false,
    make: () => undefined,
    remove: () => undefined,
    plug: () => undefined,
    unplug: () => undefined,
    sweep: () => undefined,
    publishing: () => undefined,
    leadsOut: () => false,
    interfacePrefix: () => "",
    [Symbol.dispose]: () => undefined,
  };
}

export const hostDriver: NetworkDriver = plain("host");
export const nullDriver: NetworkDriver = plain("null");
