/**
 * The bodies of requests about networks as schemas.
 * Pure.
 */
import * as v from "valibot";
import { endpointSettings } from "./docker-create.ts";
import { fields, flag, maybe, text, textMap } from "./docker-json.ts";

export const networkCreateBody = fields({
  Name: text,
  Driver: text,
  Scope: text,
  EnableIPv4: flag,
  EnableIPv6: flag,
  Internal: flag,
  Attachable: flag,
  Ingress: flag,
  ConfigOnly: flag,
  ConfigFrom: maybe(fields({ Network: text })),
  IPAM: maybe(
    fields({
      Driver: text,
      Options: textMap,
      Config: maybe(
        v.array(fields({ Subnet: text, IPRange: text, Gateway: text, AuxiliaryAddresses: textMap })),
      ),
    }),
  ),
  Options: textMap,
  Labels: textMap,
});

export type NetworkCreateBody = v.InferOutput<typeof networkCreateBody>;

export const networkConnectBody = fields({ Container: text, EndpointConfig: maybe(endpointSettings) });
export const networkDisconnectBody = fields({ Container: text, Force: flag });

/** Of `GET /containers/{name}/resolve?name=&type=`, which is this engine's own. */
export interface NameTraceAnswer {
  readonly Name: string;
  readonly Type: "A" | "AAAA";
  readonly Addresses: readonly string[];
  readonly Steps: readonly {
    readonly Asked: string;
    readonly Source: string;
    readonly Outcome: string;
    readonly Answers: readonly string[];
  }[];
}

/** Of `GET /networks/audit?probe=`, which is this engine's own. */
export interface NetworkAuditAnswer {
  readonly Firewall: string;
  readonly Rows: readonly {
    readonly From: string;
    readonly To: string;
    readonly Address: string;
    readonly Verdict: string;
    readonly Why: string;
    /** What a probe met, when probes were asked for. */
    readonly Probe?: string;
    /** Why none was sent. */
    readonly Untried?: string;
    /** `rules`, `probe` or `contradicted`: what speaks for the verdict. */
    readonly ShownBy: string;
  }[];
}
