/**
 * Everything against everything: blobs against digests, layers against chain ids, records against disk and kernel.
 * Owns: the order, and that one check runs at a time. Promises: works beside running containers, in bounded memory and at
 * a bounded pace; a repair loses nothing that is still there. Never: repairs unless it is asked to.
 */
import type { CheckArea, CheckedFinding, CheckLine, CheckSummary, Finding } from "#spec/check.ts";
import { Fault } from "#spec/fault.ts";
import { checkBlobs } from "#store/blob-check.ts";
import type { Blobs } from "#store/blobs.ts";
import { checkLayers } from "#store/layers/layer-check.ts";
import type { Layers } from "#store/layers/layers.ts";
import { Pace } from "#store/pace.ts";
import type { ImageCollector } from "./images/image-collector.ts";
import type { Images } from "./images/images.ts";
import type { ContainerIndex } from "./lifecycle/container-index.ts";

type Look = (looked: () => void) => AsyncIterable<Finding>;

/** What parts say about their own. */
export interface SelfChecking {
  findings(o: {
    readonly isKnown: (id: string) => boolean;
    readonly looked: () => void;
  }): AsyncIterable<Finding>;
}

export interface SystemCheckParts {
  readonly index: ContainerIndex;
  readonly blobs: Blobs;
  readonly layers: Layers;
  readonly images: Pick<Images, "collectLayers">;
  readonly collector: Pick<ImageCollector, "reasons" | "layerReasons">;
  readonly volumes: SelfChecking;
  readonly network: SelfChecking;
  readonly containers: Look;
}

export class SystemCheck {
  readonly #parts: SystemCheckParts;
  #running = false;

  constructor(parts: SystemCheckParts) {
    this.#parts = parts;
  }

  /** Findings as they come, the summary last. @throws Fault `conflict` while another one runs. */
  async *run(o: { readonly repair: boolean; readonly signal: AbortSignal }): AsyncGenerator<CheckLine> {
    if (this.#running)
      throw new Fault("conflict", "a check runs already: wait for its end, two would only slow each other");
    this.#running = true;
    try {
      yield* this.#all(o);
    } finally {
      this.#running = false;
    }
  }

  async *#all(o: { readonly repair: boolean; readonly signal: AbortSignal }): AsyncGenerator<CheckLine> {
    const pace = new Pace(o.signal);
    const looked = new Map<CheckArea, number>();
    let [findings, repaired] = [0, 0];
    for (const [area, look] of this.#looks(pace)) {
      looked.set(area, 0);
      const count = (): void => void looked.set(area, (looked.get(area) ?? 0) + 1);
      for await (const finding of look(count)) {
        o.signal.throwIfAborted();
        const Finding = await told(finding, o.repair);
        findings++;
        if (Finding.Repaired) repaired++;
        yield { Finding };
      }
    }
    const Looked = Object.fromEntries(looked) as CheckSummary["Looked"];
    yield { Summary: { Findings: findings, Repaired: repaired, Looked, ReadBytes: pace.readBytes } };
  }

  /** What is quick first; what stands on something behind it. */
  #looks(pace: Pace): [CheckArea, Look][] {
    const { blobs, collector, containers, images, index, layers, network, volumes } = this.#parts;
    const isKnown = (id: string): boolean => index.find(id) !== undefined;
    return [
      ["containers", containers],
      ["networks", (looked) => network.findings({ isKnown, looked })],
      ["volumes", (looked) => volumes.findings({ isKnown, looked })],
      ["blobs", (looked) => checkBlobs({ blobs, needed: (o) => collector.reasons(o), pace, looked })],
      [
        "layers",
        (looked) =>
          checkLayers({
            ...{ layers, pace, looked },
            neededBy: (chainId) => [
              ...(collector.layerReasons().get(chainId) ?? []),
              ...this.#standing(chainId),
            ],
            collect: async (chainId) => void (await images.collectLayers(chainId)),
          }),
      ],
    ];
  }

  /** Layers and containers that stand on one directly. */
  #standing(chainId: string): string[] {
    const { index, layers } = this.#parts;
    const above = layers.list().filter(({ parent }) => parent === chainId);
    const containers = layers.writables().filter(({ parent }) => parent === chainId);
    return [
      ...above.map((each) => `layer ${each.chainId}`),
      ...containers.map(({ id }) => `container ${index.find(id)?.name ?? id}`),
    ];
  }
}

async function told({ area, problem, remedy, repair }: Finding, wanted: boolean): Promise<CheckedFinding> {
  const shown = { Area: area, Problem: problem, Remedy: remedy, Repairable: repair !== undefined };
  if (!wanted || repair === undefined) return { ...shown, Repaired: false };
  try {
    await repair();
    return { ...shown, Repaired: true };
  } catch (thrown) {
    return { ...shown, Repaired: false, Error: Fault.from(thrown).message };
  }
}
