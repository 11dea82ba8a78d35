/** AppArmor, project quotas and NFS, which the development machines do not have. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import type { Check } from "./checks-unified.ts";

const mebi = 1 << 20;

export const securityChecks: Readonly<Record<string, Check>> = {
  "containers are under the engine's AppArmor profile": async (guest) => {
    assert.ok((await guest.client.info()).SecurityOptions?.includes("name=apparmor"));
    assert.match(
      readFileSync("/sys/kernel/security/apparmor/profiles", "latin1"),
      /^wherry-default \(enforce\)$/m,
    );
    await using ran = await guest.run({ CapAdd: ["SYS_ADMIN"] });
    assert.equal((await ran.inspect()).AppArmorProfile, "wherry-default");
    assert.equal(
      (await ran.exec("cat", "/proc/1/attr/current", "/proc/self/attr/current")).output.replace(/\r?\n/, " "),
      "wherry-default (enforce) wherry-default (enforce)",
    );
    assert.match((await ran.exec("mount", "-t", "tmpfs", "none", "/tmp")).output, /permission denied/i);
    // Signals between its own processes, and from outside, are as ever.
    assert.equal((await ran.exec("sh", "-c", "sleep 100 & kill $!")).code, 0);
    await guest.client.containers.kill(ran.id, "KILL");
    assert.equal((await ran.ended()).code, 137);
  },
  "AppArmor unconfined, privileged, and a profile of one's own": async (guest) => {
    await using free = await guest.run({ SecurityOpt: ["apparmor=unconfined"], CapAdd: ["SYS_ADMIN"] });
    assert.equal((await free.inspect()).AppArmorProfile, "unconfined");
    assert.equal((await free.exec("cat", "/proc/1/attr/current")).output, "unconfined");
    assert.equal((await free.exec("mount", "-t", "tmpfs", "none", "/tmp")).code, 0);
    await using mighty = await guest.run({ Privileged: true });
    assert.equal((await mighty.exec("cat", "/proc/1/attr/current")).output, "unconfined");
    writeFileSync(
      "/run/own",
      "profile own-one flags=(attach_disconnected) { file, capability, signal, deny /tmp/** w, }\n",
    );
    assert.equal(spawnSync("apparmor_parser", ["-rKq", "/run/own"]).status, 0);
    await using own = await guest.run({ SecurityOpt: ["apparmor=own-one"] });
    assert.equal((await own.exec("cat", "/proc/1/attr/current")).output, "own-one (enforce)");
    assert.match((await own.exec("touch", "/tmp/x")).output, /permission denied/i);
    await assert.rejects(guest.run({ SecurityOpt: ["apparmor=nobody-loaded"] }), /nobody-loaded/);
  },
  "a root of limited size": async (guest) => {
    assert.ok((await guest.client.info()).DriverStatus?.some(([name]) => name === "Project Quotas"));
    const write = ["sh", "-c", "dd if=/dev/zero of=/big bs=1M count=20"];
    await using small = await guest.run({ StorageOpt: { size: "10M" } });
    const tried = await small.exec(...write);
    assert.match(tried.output, /quota exceeded|no space/i);
    assert.match((await small.exec("df", "-k", "/")).output, /\s10240\s/);
    await using another = await guest.run({ StorageOpt: { size: "40M" } });
    assert.equal((await another.exec(...write)).code, 0);
    await using free = await guest.run({});
    assert.equal((await free.exec(...write)).code, 0);
    assert.ok(((await guest.client.containers.inspect(another.id, { size: true })).SizeRw ?? 0) >= 20 * mebi);
  },
  "a volume of limited size": async (guest) => {
    const { volumes } = guest.client;
    await volumes.create({ Name: "small", DriverOpts: { size: "10M" } });
    const at = { Mounts: [{ Type: "volume" as const, Source: "small", Target: "/v" }] };
    const write = (name: string, mib: number) => [
      ...["dd", "if=/dev/zero", `of=/v/${name}`, "bs=1M", `count=${mib}`],
    ];
    {
      await using ran = await guest.run(at);
      assert.match((await ran.exec(...write("big", 20))).output, /quota exceeded|no space/i);
      assert.equal((await ran.exec("sh", "-c", "rm /v/big && echo kept > /v/f")).code, 0);
    }
    // What is made of it, what it is put back to and what comes out of the trash are limited, too.
    await volumes.clone("small", { name: "copy", snapshot: true });
    await volumes.restore("small", "copy");
    await volumes.remove("small");
    await guest.client.trash.restore({});
    await guest.stop("SIGKILL");
    await guest.start();
    for (const name of ["small", "copy"]) {
      await using ran = await guest.run({ Binds: [`${name}:/v`] });
      assert.equal((await ran.exec("cat", "/v/f")).output, "kept");
      assert.match((await ran.exec(...write("big", 20))).output, /quota exceeded|no space/i);
    }
    // Gone for good, its number is free: nobody else is limited by it.
    for (const name of ["small", "copy"]) await volumes.remove(name, { now: true });
    await assert.rejects(
      volumes.create({ Name: "bad", DriverOpts: { size: "lots" } }),
      /invalid size: 'lots'/,
    );
    await using free = await guest.run({ Binds: ["free:/v"] });
    assert.equal((await free.exec(...write("big", 20))).code, 0);
  },
  "an NFS server that says nothing, and one that cannot be reached": async (guest) => {
    const { containers, volumes } = guest.client;
    const server = createServer(() => undefined).listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    try {
      for (const [name, address, said] of [
        [
          "silent",
          `addr=127.0.0.1,port=${port}`,
          /no answer within \d+ s, look whether 127\.0\.0\.1 can be reached/,
        ],
        ["away", "addr=192.0.2.1", /no answer within \d+ s, look whether 192\.0\.2\.1|unreachable/i],
      ] as const) {
        const DriverOpts = { type: "nfs4", device: ":/exported", o: `${address},vers=4.2` };
        await volumes.create({ Name: name, DriverOpts });
        const HostConfig = { Binds: [`${name}:/v`] };
        const { Id } = await containers.create({ Image: "busybox", Cmd: ["true"], HostConfig }, {});
        const starting = assert.rejects(containers.start(Id), said);
        // Nobody else waits for it.
        await (await guest.run({}))[Symbol.asyncDispose]();
        await starting;
        assert.doesNotMatch(readFileSync("/proc/mounts", "utf8"), / nfs4? /);
        await containers.remove(Id);
        await volumes.remove(name, { now: true });
      }
    } finally {
      server.close();
    }
  },
};
