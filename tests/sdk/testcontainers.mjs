/** testcontainers against the engine that DOCKER_HOST names: waiting for logs and ports, networks, files, reuse of ports. */
import assert from "node:assert/strict";
import { GenericContainer, Network, Wait } from "testcontainers";

const network = await new Network().start();
const server = await new GenericContainer("busybox:latest")
  .withCommand(["sh", "-c", "echo ready; exec httpd -f -p 8080 -h /tmp"])
  .withNetwork(network)
  .withNetworkAliases("web")
  .withExposedPorts(8080)
  .withCopyContentToContainer([{ content: "hello", target: "/tmp/x.txt" }])
  .withHealthCheck({
    test: ["CMD-SHELL", "test -e /tmp/x.txt"],
    interval: 100,
    retries: 50,
    startPeriod: 1000,
  })
  .withWaitStrategy(
    Wait.forAll([Wait.forLogMessage("ready"), Wait.forListeningPorts(), Wait.forHealthCheck()]),
  )
  .withStartupTimeout(30_000)
  .start();
const asked = await fetch(`http://${server.getHost()}:${server.getMappedPort(8080)}/x.txt`);
assert.equal(await asked.text(), "hello");
const client = await new GenericContainer("busybox:latest")
  .withCommand(["sleep", "1000"])
  .withNetwork(network)
  .start();
const { output, exitCode } = await client.exec(["nslookup", "web"]);
assert.ok(output.includes(server.getIpAddress(network.getName())), output);
assert.equal(exitCode, 0);
for (const each of [client, server]) await each.stop({ timeout: 0 });
await network.stop();
process.stdout.write("testcontainers is content\n");
