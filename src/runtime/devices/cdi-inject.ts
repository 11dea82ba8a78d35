/** What CDI devices change in a container's specification. */
import { stat } from "node:fs/promises";
import { Fault } from "#spec/fault.ts";
import type { OciDevice, OciMount, OciSpec } from "#spec/oci-runtime.ts";
import type { CdiEdits } from "./cdi-spec.ts";
import { nodeOf } from "./devices.ts";

type DeviceNode = NonNullable<CdiEdits["deviceNodes"]>[number];

/** Applies the edits in their order; a later one of the same variable or node wins. @throws Fault `invalid`. */
export async function injectCdi(spec: OciSpec, all: readonly CdiEdits[]): Promise<void> {
  for (const edits of all) {
    for (const variable of edits.env ?? []) setVariable(spec, variable);
    for (const node of edits.deviceNodes ?? []) await addNode(spec, node);
    spec.mounts.push(...(edits.mounts ?? []).map(mountOf));
    for (const { hookName, path, args, env, timeout } of edits.hooks ?? []) {
      const hook = { path, ...(args && { args }), ...(env && { env }), ...(timeout && { timeout }) };
      spec.hooks = { ...spec.hooks, [hookName]: [...(spec.hooks?.[hookName] ?? []), hook] };
    }
    addGroups(spec, edits.additionalGids ?? []);
  }
}

function setVariable({ process: first }: OciSpec, variable: string): void {
  const name = variable.split("=", 1)[0] ?? "";
  first.env = [...first.env.filter((each) => each.split("=", 1)[0] !== name), variable];
}

async function addNode(spec: OciSpec, node: DeviceNode): Promise<void> {
  const device = await deviceOf(node, spec.process.user.uid);
  const { linux } = spec;
  linux.devices = [...(linux.devices ?? []).filter(({ path }) => path !== device.path), device];
  const { type, major, minor } = device;
  if (type !== "c" && type !== "b") return;
  linux.resources.devices = [
    ...(linux.resources.devices ?? []),
    {
      ...{ allow: true, type, access: node.permissions || "rwm" },
      ...(major !== undefined && { major }),
      ...(minor !== undefined && { minor }),
    },
  ];
}

/** What the specification leaves out is as on the machine; the container's user owns it when nobody else does. */
async function deviceOf(node: DeviceNode, uid: number): Promise<OciDevice> {
  const { path, hostPath = path, type, major, minor } = node;
  const known = type !== undefined && (type === "p" || (major !== undefined && minor !== undefined));
  const found = known
    ? { type, path, ...(major !== undefined && { major, minor: minor ?? 0 }) }
    : await look(hostPath, path);
  const owner = node.uid ?? (uid > 0 ? uid : undefined);
  return {
    ...found,
    ...(node.fileMode !== undefined && { fileMode: node.fileMode }),
    ...(owner !== undefined && { uid: owner }),
    ...(node.gid !== undefined && { gid: node.gid }),
  };
}

async function look(hostPath: string, path: string): Promise<OciDevice> {
  const node = nodeOf(await stat(hostPath).catch(() => undefined), path);
  if (node !== undefined) return node;
  throw new Fault("invalid", `CDI device injection failed: ${hostPath} is no device of this machine`);
}

function mountOf(mount: NonNullable<CdiEdits["mounts"]>[number]): OciMount {
  const { hostPath, containerPath, options = [], type = "" } = mount;
  const binds = options.includes("bind") || options.includes("rbind");
  return {
    destination: containerPath,
    source: hostPath,
    type: type || "bind",
    options: binds || (type !== "" && type !== "bind") ? [...options] : [...options, "rbind"],
  };
}

function addGroups({ process }: OciSpec, gids: readonly number[]): void {
  const wanted = gids.filter((gid) => gid !== 0);
  if (wanted.length === 0) return;
  process.user.additionalGids = [...new Set([...(process.user.additionalGids ?? []), ...wanted])];
}
