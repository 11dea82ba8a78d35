"""docker-py against the engine that DOCKER_HOST names: containers, exec, logs, files, networks, volumes, events."""

import io
import tarfile
import time

import docker

client = docker.from_env()
since = int(time.time())
pool = docker.types.IPAMPool(subnet="10.98.0.0/24")
network = client.networks.create("pynet", ipam=docker.types.IPAMConfig(pool_configs=[pool]))
volume = client.volumes.create("pyvol", labels={"a": "b"})
container = client.containers.run(
    "busybox",
    ["sh", "-c", "echo hi; cat"],
    name="pybox",
    detach=True,
    stdin_open=True,
    network="pynet",
    volumes={"pyvol": {"bind": "/v", "mode": "rw"}},
    ports={"80/tcp": None},
    labels={"sdk": "py"},
)
container.reload()
assert container.status == "running"
assert container.attrs["NetworkSettings"]["Networks"]["pynet"]["IPAddress"] == "10.98.0.2"
assert int(container.ports["80/tcp"][0]["HostPort"]) > 0

result = container.exec_run(["sh", "-c", "echo out; echo err >&2; exit 3"], demux=True)
assert result.exit_code == 3 and result.output == (b"out\n", b"err\n"), result

packed = io.BytesIO()
with tarfile.open(fileobj=packed, mode="w") as tar:
    entry = tarfile.TarInfo("x")
    entry.size = 3
    tar.addfile(entry, io.BytesIO(b"abc"))
assert container.put_archive("/tmp", packed.getvalue())
parts, stat = container.get_archive("/tmp/x")
with tarfile.open(fileobj=io.BytesIO(b"".join(parts))) as tar:
    assert tar.extractfile("x").read() == b"abc" and stat["size"] == 3
assert {"Path": "/tmp/x", "Kind": 1} in container.diff()
assert container.stats(stream=False)["name"] == "/pybox"

other = client.networks.create("pyother")
other.connect(container, aliases=["z"])
other.reload()
assert [each.name for each in other.containers] == ["pybox"]
other.disconnect(container)

attached = container.attach_socket(params={"stdin": 1, "stdout": 1, "stream": 1})
attached._sock.sendall(b"typed\n")
for part in container.logs(stream=True, follow=True):
    if b"typed" in part:
        break
attached.close()
container.kill()
assert container.wait()["StatusCode"] == 137
assert container.logs().splitlines() == [b"hi", b"typed"]
assert [each.name for each in client.containers.list(all=True, filters={"label": "sdk=py"})] == ["pybox"]
container.remove(v=True)

assert client.containers.run("busybox", "echo foreground", remove=True) == b"foreground\n"
try:
    client.containers.run("busybox", "false", remove=True)
    raise AssertionError("no failure")
except docker.errors.ContainerError as error:
    assert error.exit_status == 1
try:
    client.images.get("nosuch:1")
    raise AssertionError("an image that is not there")
except docker.errors.ImageNotFound:
    pass
seen = [event["Action"] for event in client.events(since=since, until=int(time.time()) + 1, decode=True)]
for action in ["create", "connect", "start", "exec_start: sh -c echo out; echo err >&2; exit 3", "die", "destroy"]:
    assert action in seen, (action, seen)
for each in (network, other):
    each.remove()
volume.remove()
assert client.networks.prune() == {"NetworksDeleted": None}
print("docker-py", docker.__version__, "is content")
