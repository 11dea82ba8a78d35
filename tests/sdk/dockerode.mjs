/** dockerode against the engine that DOCKER_HOST names: containers, exec, logs, streams, files, networks, events. */
import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import Docker from "dockerode";

const docker = new Docker();
const text = async (stream) => {
  let all = "";
  for await (const part of stream) all += part;
  return all;
};
const since = Math.floor(Date.now() / 1000);
const network = await docker.createNetwork({ Name: "nodenet", CheckDuplicate: true });
const container = await docker.createContainer({
  Image: "busybox",
  name: "nodebox",
  Cmd: ["sh", "-c", "echo hi; cat; exit 4"],
  OpenStdin: true,
  StdinOnce: true,
  AttachStdin: true,
  HostConfig: { NetworkMode: "nodenet" },
});
const stream = await container.attach({
  stream: true,
  stdin: true,
  stdout: true,
  stderr: true,
  hijack: true,
});
const [out, err] = [new PassThrough(), new PassThrough()];
container.modem.demuxStream(stream, out, err);
await container.start();

const exec = await container.exec({ Cmd: ["sh", "-c", "echo from exec; exit 5"], AttachStdout: true });
const output = await exec.start({});
const [execOut, execErr] = [new PassThrough(), new PassThrough()];
container.modem.demuxStream(output, execOut, execErr);
output.on("end", () => execOut.end());
assert.equal(await text(execOut), "from exec\n");
assert.equal((await exec.inspect()).ExitCode, 5);

const archive = await container.getArchive({ path: "/etc/passwd" });
assert.match(await text(archive), /root:x:0:0/);

const other = await docker.createNetwork({ Name: "nodeother", Internal: true });
await other.connect({ Container: "nodebox", EndpointConfig: { Aliases: ["z"] } });
assert.equal(Object.keys((await other.inspect()).Containers).length, 1);
assert.deepEqual(Object.keys((await container.inspect()).NetworkSettings.Networks).sort(), [
  "nodenet",
  "nodeother",
]);

const ended = container.wait();
stream.end("typed\n");
assert.equal((await ended).StatusCode, 4);
assert.equal(
  String(await container.logs({ stdout: true, stderr: true }))
    .replace(/[^\x20-\x7e\n]/g, "")
    .includes("typed"),
  true,
);
await other.disconnect({ Container: "nodebox" });

const [answer, gone] = await docker.run("busybox", ["sh", "-c", "echo run"], new PassThrough().resume());
assert.equal(answer.StatusCode, 0);
await gone.remove();
await container.remove({ v: true });
await assert.rejects(docker.getContainer("nosuch").inspect(), { statusCode: 404 });
const events = await docker.getEvents({ since, until: Math.floor(Date.now() / 1000) + 1 });
const actions = (await text(events))
  .split("\n")
  .filter(Boolean)
  .map((line) => JSON.parse(line).Action);
for (const action of ["create", "attach", "connect", "start", "die", "destroy"])
  assert.ok(actions.includes(action), action);
for (const each of [network, other]) await each.remove();
process.stdout.write("dockerode is content\n");
