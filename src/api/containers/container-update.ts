/** `POST /containers/{id}/update`: limits and restart policy of a container, running or not. */
import * as v from "valibot";
import type { ApiParts } from "#api/api-parts.ts";
import { isZero } from "#api/honoured.ts";
import { type ApiRequest, check, json, param } from "#api/http/api-request.ts";
import { jsonReply, type Reply } from "#api/http/reply.ts";
import type { HostConfig, UpdatableField } from "#spec/container.ts";
import { updateBody } from "#spec/docker-create.ts";
import type { UpdateAnswer } from "#spec/docker-wire.ts";
import { Fault } from "#spec/fault.ts";
import { checkPorts, checkRestartPolicy } from "./create-checks.ts";
import { checkResources } from "./resource-checks.ts";

const updatable: Readonly<Record<UpdatableField | "PublishAdd" | "PublishRm", true>> = {
  BlkioWeight: true,
  BlkioWeightDevice: true,
  BlkioDeviceReadBps: true,
  BlkioDeviceWriteBps: true,
  BlkioDeviceReadIOps: true,
  BlkioDeviceWriteIOps: true,
  CpuShares: true,
  CpuPeriod: true,
  CpuQuota: true,
  CpuRealtimePeriod: true,
  CpuRealtimeRuntime: true,
  CpusetCpus: true,
  CpusetMems: true,
  Memory: true,
  MemoryReservation: true,
  MemorySwap: true,
  NanoCpus: true,
  PidsLimit: true,
  RestartPolicy: true,
  PublishAdd: true,
  PublishRm: true,
};

type UpdateBody = HostConfig & Pick<v.InferOutput<typeof updateBody>, "PublishAdd" | "PublishRm">;

export async function updateContainer({ engine }: ApiParts, request: ApiRequest): Promise<Reply> {
  const sent = await json(request, v.unknown());
  refuseFixed(sent);
  const { PublishAdd: add, PublishRm: remove, ...changes }: UpdateBody = { ...check(updateBody, sent) };
  checkRestartPolicy(changes);
  checkPorts(add ?? {});
  if (request.version < 40) delete changes.PidsLimit;
  else if (changes.PidsLimit !== undefined && (changes.PidsLimit ?? 0) <= 0) changes.PidsLimit = 0;
  const { host, warnings } = checkResources(changes, engine.system.facts(), { update: true });
  const name = param(request, "name");
  const ports = add || remove;
  if (ports) await engine.networks.publish(name, { add: add ?? {}, remove: remove ?? {} });
  if (!ports || Object.keys(host).length > 0)
    await engine.containers.update(name, host, { signal: request.lifetime });
  const answer: UpdateAnswer = { Warnings: warnings.length === 0 ? null : warnings };
  return jsonReply(answer);
}

/** Resources that only a new container can have. @throws Fault `unsupported`. */
function refuseFixed(sent: unknown): void {
  if (typeof sent !== "object" || sent === null) return;
  for (const [field, value] of Object.entries(sent))
    if (!Object.hasOwn(updatable, field) && !isZero(value) && value !== -1)
      throw new Fault(
        "unsupported",
        `${field} cannot be updated: it is decided when a container is made; make a new one`,
      );
}
