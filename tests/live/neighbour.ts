/** Another host on the engine's network: a namespace joined to the engine's by a pair of interfaces, and what runs there. */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import { addAddress } from "#kernel/network/addresses.ts";
import { addVeth, findLink, setUp } from "#kernel/network/links.ts";
import { Netlink } from "#kernel/network/netlink.ts";
import { inNamespace, makeNamespace, removeNamespace } from "#kernel/network/netns.ts";
import type { EngineUnderTest } from "./engine-under-test.ts";

export class Neighbour implements Disposable {
  readonly netns: string;
  /** Of the engine's host on that network. */
  readonly hostAddress = "10.231.0.1";
  readonly address = "10.231.0.2";

  constructor(engine: EngineUnderTest) {
    this.netns = join(engine.directory, "neighbour");
    makeNamespace(this.netns, () => {
      using netlink = new Netlink();
      setUp(netlink, 1);
    });
    const there = openSync(this.netns, "r");
    try {
      inNamespace(engine.netns, () => {
        using netlink = new Netlink();
        const peer = { netns: there, name: "lan0", mac: Uint8Array.from([2, 0, 0, 0, 0, 2]) };
        addVeth(netlink, { name: "lan0", master: 0, peer });
        up(netlink, this.hostAddress);
      });
    } finally {
      closeSync(there);
    }
    inNamespace(this.netns, () => {
      using netlink = new Netlink();
      up(netlink, this.address);
    });
  }

  /** `ip` with these words, there. */
  ip(...words: string[]): void {
    const { status, stderr } = spawnSync("nsenter", [`--net=${this.netns}`, "ip", ...words], {
      encoding: "utf8",
    });
    if (status !== 0) throw new Error(`ip ${words.join(" ")}: ${stderr}`);
  }

  /** The last line a web server answers; empty when none does within a second. */
  async fetches(address: string, port: number): Promise<string> {
    return await fetchesFrom(this.netns, address, port);
  }

  [Symbol.dispose](): void {
    removeNamespace(this.netns);
  }
}

function up(netlink: Netlink, address: string): void {
  const index = findLink(netlink, "lan0")?.index ?? 0;
  addAddress(netlink, index, { address, prefixLength: 24 });
  setUp(netlink, index);
}

/** From a network namespace: the last line a web server answers; empty when none does within a second. */
export async function fetchesFrom(netns: string, address: string, port: number): Promise<string> {
  const ask = `printf 'GET / HTTP/1.0\\r\\n\\r\\n' | busybox nc -w 1 ${address} ${port} 2>/dev/null | tail -n 1`;
  const child = spawn("nsenter", [`--net=${netns}`, "sh", "-c", ask], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  let out = "";
  child.stdout.on("data", (part: Buffer) => {
    out += part.toString();
  });
  await once(child, "close");
  return out.trim();
}
