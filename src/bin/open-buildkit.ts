/** BuildKit's services put together for one engine. */
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Builder } from "#build/builder.ts";
import { BuildHistory } from "#buildkit/build-history.ts";
import { BuildJobs } from "#buildkit/build-jobs.ts";
import { Buildkit } from "#buildkit/buildkit-services.ts";
import { ClientSessions } from "#buildkit/client-sessions.ts";
import { Mirrors } from "#buildkit/mirrors.ts";
import type { Engine } from "#engine/engine.ts";
import { nowNano } from "#kernel/clock.ts";
import type { Networks } from "#network/networks.ts";
import { imageArchitecture } from "#spec/platform.ts";
import type { Records } from "#store/records.ts";
import type { DaemonOptions } from "./daemon-options.ts";
import { version } from "./version.ts";

/** Of what builds may leave on disk, for copies of clients' directories. */
const contextsShare = 0.5;

interface Neighbours {
  readonly builder: Builder;
  readonly engine: Engine;
  readonly network: Networks;
  readonly records: Records;
  readonly log: (line: string) => void;
}

export function openBuildkit(
  o: DaemonOptions,
  { builder, engine, network, records, log }: Neighbours,
): Buildkit {
  const now = () => Number(nowNano() / 1000n) / 1000;
  // What an engine that died left there leads nowhere.
  const socketDirectory = join(o.execRoot, "agents");
  rmSync(socketDirectory, { recursive: true, force: true });
  mkdirSync(socketDirectory, { recursive: true, mode: 0o700 });
  const mirrors = Mirrors.open(join(o.dataRoot, "contexts"), now, builder.ceilingBytes * contextsShare);
  builder.leaveRoom(() => mirrors.sizeBytes);
  return new Buildkit({
    ...{ builder, socketDirectory, version, now, report: log },
    sessions: new ClientSessions(),
    jobs: new BuildJobs(now),
    history: new BuildHistory(records, join(o.dataRoot, "build-history"), now),
    mirrors,
    architecture: imageArchitecture(process.arch),
    id: () => engine.system.facts().id,
    hostGateway: () => network.hostGateways()[0],
  });
}
