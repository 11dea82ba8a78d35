/** Builds that were made: the wire that `docker buildx history` uses, asked by hand, and `wherry builder history`. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { GrpcChannel } from "#grpc/grpc-channel.ts";
import { control } from "#spec/buildkit-control.ts";
import { content } from "#spec/content-service.ts";
import { type GrpcError, RpcStatus } from "#spec/grpc-status.ts";
import { buildContext } from "./build-context.ts";
import { type CliResult, EngineUnderTest } from "./engine-under-test.ts";

let engine: EngineUnderTest;
beforeAll(async () => {
  engine = await EngineUnderTest.start();
  await engine.importBusybox();
});
afterAll(async () => await engine[Symbol.asyncDispose]());

const signal = new AbortController().signal;

/** HTTP/2 at once, as buildx's `remote` driver speaks it. */
async function opened(): Promise<GrpcChannel> {
  const socket = connect(join(engine.directory, "engine.sock"));
  await once(socket, "connect");
  return new GrpcChannel(socket);
}

async function wherry(...args: string[]): Promise<CliResult> {
  return await engine.cli("wherry", args);
}

async function said(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await wherry(...args);
  if (code !== 0) throw new Error(`${args.join(" ")}: ${stderr}`);
  return stdout;
}

async function records(channel: GrpcChannel, o = {}) {
  using call = channel.open(control.listenBuildHistory, { signal });
  await call.send({ EarlyExit: true, ...o });
  call.end();
  return (await Array.fromAsync(call.responses)).flatMap(({ record }) => record ?? []);
}

async function read(channel: GrpcChannel, digest: string, o = {}): Promise<Buffer> {
  using call = channel.open(content.read, { signal });
  await call.send({ digest, ...o });
  call.end();
  return Buffer.concat((await Array.fromAsync(call.responses)).map(({ data }) => data));
}

test("a build's record leads to what it told, how it failed and what it stood on, also in another life", async () => {
  const good = buildContext(join(engine.directory, "good"), {
    Dockerfile: "FROM busybox\nARG COLOUR\nRUN echo said-$((40+2))\n",
  });
  const bad = buildContext(join(engine.directory, "bad"), {
    Dockerfile: "FROM busybox\nRUN echo oops; exit 3\n",
  });
  await said(
    "build",
    "-t",
    "h:1",
    "--build-arg",
    "COLOUR=red",
    "--label",
    "k=v",
    "--attest",
    "type=provenance",
    good,
  );
  expect((await wherry("build", bad)).code).toBe(1);
  await engine.stop("SIGKILL");
  await engine.start();

  using channel = await opened();
  const [failed, made] = await records(channel);
  if (failed === undefined || made === undefined) throw new Error("two records were expected");
  expect(failed.error?.message).toContain("exit code: 3");
  expect(failed.error?.details).toEqual([]);
  const status = RpcStatus.decode(await read(channel, failed.externalError?.digest ?? ""));
  expect(status.details.map(({ typeUrl }) => typeUrl)).toEqual([
    "github.com/moby/buildkit/errdefs.Vertex+json",
    "github.com/moby/buildkit/errdefs.Source+json",
  ]);
  expect(made.FrontendAttrs["build-arg:COLOUR"]).toBe("red");
  expect([made.numTotalSteps, made.numCompletedSteps]).toEqual([5, 5]);
  // Framed as BuildKit frames it, and the same by Status.
  const logs = await read(channel, made.logs?.digest ?? "");
  const first = control.status.response.decode(logs.subarray(4, 4 + logs.readUInt32LE()));
  expect(first.vertexes[0]?.name).toBe("[internal] load build definition from Dockerfile");
  using call = channel.open(control.status, { signal });
  await call.send({ Ref: made.Ref });
  call.end();
  const told = await Array.fromAsync(call.responses);
  expect(told.flatMap((each) => each.logs.map(({ msg }) => Buffer.from(msg).toString())).join("")).toBe(
    "said-42\n",
  );
  const [provenance] = made.Result?.Attestations ?? [];
  expect(provenance?.annotations["in-toto.io/predicate-type"]).toBe("https://slsa.dev/provenance/v0.2");
  const predicate = JSON.parse((await read(channel, provenance?.digest ?? "")).toString());
  expect(predicate.invocation.parameters.args).toMatchObject({ "build-arg:COLOUR": "red" });
  expect(predicate.materials[0].uri).toStartWith("pkg:docker/busybox@latest");
  const index = made.Result?.Results["0"];
  const { info } = await channel.ask(content.info, { digest: index?.digest ?? "" }, { signal });
  expect([index?.mediaType, info?.size]).toEqual(["application/vnd.oci.image.index.v1+json", index?.size]);
  const part = await read(channel, index?.digest ?? "", { offset: 4, size: 15 });
  expect(part.toString()).toBe(`"schemaVersion"`);

  expect(await records(channel, { Ref: made.Ref, ActiveOnly: true })).toEqual([]);
  expect((await records(channel, { Limit: 1 }))[0]?.Ref).toBe(failed.Ref);
  expect((await records(channel, { Filter: ["status==completed"] })).map(({ Ref }) => Ref)).toEqual([
    made.Ref,
  ]);
  const codes = [
    read(channel, `sha256:${"0".repeat(64)}`),
    read(channel, "sha256:../../records.db"),
    read(channel, index?.digest ?? "", { offset: 0, size: 1 << 30 }),
    records(channel, { Limit: -1 }),
    channel.ask(content.write, { action: 1 }, { signal }),
  ].map(
    async (work) =>
      await work.then(
        () => 0,
        ({ code }: GrpcError) => code,
      ),
  );
  expect(await Promise.all(codes)).toEqual([5, 5, 11, 2, 12]);
  await channel.ask(control.updateBuildHistory, { Ref: failed.Ref, Pinned: true }, { signal });
  const [pinned] = await records(channel, { Ref: failed.Ref });
  expect([pinned?.pinned, pinned?.Generation]).toEqual([true, 1]);
});

test("wherry builder history lists, shows, exports and removes them", async () => {
  const rows = (await said("builder", "history", "ls")).trimEnd().split("\n");
  expect(rows[0]).toMatch(/^BUILD ID +NAME +STATUS +CREATED AT +DURATION/);
  expect(rows.slice(1).map((row) => row.split(/ {2,}/).slice(1, 3))).toEqual([
    ["bad", "Error"],
    ["good", "Completed"],
  ]);
  const listed = (
    await said("builder", "history", "ls", "--format", "json", "--filter", "status=completed")
  ).trim();
  const { ref, ...row } = JSON.parse(listed);
  expect(row).toMatchObject({ name: "good", status: "Completed", total_steps: 5, completed_steps: 5 });
  expect(await said("builder", "history", "ls", "--format", "{{.Name}} {{.Status}}")).toBe(
    "bad Error\ngood Completed\n",
  );

  const good = await said("builder", "history", "inspect", "^1");
  expect(good).toMatch(
    /^Name:\t+good\nRef:\t+\w+\nContext:\t+\S*\/good\nDockerfile:\t+Dockerfile\nPlatforms:\t+linux\//,
  );
  expect(good).toContain("BUILD ARG\tVALUE\nCOLOUR\t\tred\n");
  expect(good).toContain("LABEL\tVALUE\nk\tv\n");
  expect(good).toMatch(/Materials:\nURI\t+DIGEST\npkg:docker\/busybox@latest[^\t]*\tsha256:/);
  const bad = await said("builder", "history", "inspect");
  expect(bad).toMatch(/\nError:\t+Unknown process "[^\n]* did not complete successfully: exit code: 3\n/);
  expect(bad).toContain("   2 | >>> RUN echo oops; exit 3\n");
  expect(bad).toContain("Logs:\n> => [2/2] RUN echo oops; exit 3:\n> oops\n");
  const document = JSON.parse(await said("builder", "history", "inspect", "--format", "json"));
  expect(document).toMatchObject({ Name: "bad", Status: "failed", Error: { Code: 2, Logs: ["oops"] } });
  expect(
    await said("builder", "history", "inspect", "^1", "--format", "{{.Name}} {{.Config.ImageResolveMode}}"),
  ).toBe("good local\n");
  const statement = await said("builder", "history", "inspect", "attachment", "^1", "--type", "provenance");
  expect(JSON.parse(statement).buildType).toBe("https://mobyproject.org/buildkit@v1");
  const index = JSON.parse(
    await said("builder", "history", "inspect", "attachment", "^1", "--type", "index"),
  );
  expect(index.manifests).toHaveLength(2);

  const logs = await wherry("builder", "history", "logs", "^1");
  expect(logs.stderr).toMatch(
    /#\d+ \[2\/2\] RUN echo said[^\n]*\n#\d+ [0-9.]+ said-42\n#\d+ DONE [0-9.]+s\n/,
  );
  expect(await wherry("builder", "history", "logs", "nobody")).toMatchObject({
    code: 1,
    stderr: 'no record found for ref "nobody"\n',
  });

  const bundle = join(engine.directory, "bundle.dockerbuild");
  await said("builder", "history", "export", "--all", "-o", bundle);
  const tar = gunzipSync(readFileSync(bundle)).toString("latin1");
  expect(tar).toContain("oci-layout");
  expect(tar).toContain("application/vnd.buildkit.historyrecord.v0");
  writeFileSync(bundle, "");

  await said("builder", "history", "rm", ref.split("/").at(-1));
  expect(await wherry("builder", "history", "rm", "nobody")).toMatchObject({
    code: 1,
    stderr: "failed to update nobody: not found\n",
  });
  await said("builder", "history", "rm", "--all");
  expect((await said("builder", "history", "ls", "--format", "json")).trim()).toBe("");
});
