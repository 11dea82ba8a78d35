/** Pure. Counts of what the registry server answered, as Prometheus reads them (text format 0.0.4). */

const bucketsS = [0.005, 0.025, 0.1, 0.5, 2.5, 10];

interface Series {
  count: number;
  sumS: number;
  readonly buckets: number[];
}

export class RegistryMetrics {
  readonly #requests = new Map<string, number>();
  readonly #times = new Map<string, Series>();
  readonly #events = new Map<string, number>();

  answered(o: {
    readonly method: string;
    readonly kind: string;
    readonly status: number;
    readonly ms: number;
  }) {
    const method = ["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE"].includes(o.method) ? o.method : "other";
    increase(this.#requests, `method="${method}",operation="${o.kind}",status="${o.status}"`);
    const key = `operation="${o.kind}"`;
    const series = this.#times.get(key) ?? { count: 0, sumS: 0, buckets: bucketsS.map(() => 0) };
    this.#times.set(key, series);
    series.count++;
    series.sumS += o.ms / 1000;
    for (const [at, limit] of bucketsS.entries())
      if (o.ms / 1000 <= limit) series.buckets[at] = (series.buckets[at] ?? 0) + 1;
  }

  /** Labels and their number are ours: no name from outside becomes one. */
  happened(name: "pushed" | "pulled" | "deleted" | "collected_blobs" | "webhook_lost", by = 1): void {
    this.#events.set(name, (this.#events.get(name) ?? 0) + by);
  }

  text(): string {
    const lines = ["# TYPE wherry_registry_requests_total counter"];
    for (const [labels, count] of this.#requests)
      lines.push(`wherry_registry_requests_total{${labels}} ${count}`);
    lines.push("# TYPE wherry_registry_answer_seconds histogram");
    for (const [labels, { count, sumS, buckets }] of this.#times) {
      const name = "wherry_registry_answer_seconds";
      for (const [at, limit] of bucketsS.entries())
        lines.push(`${name}_bucket{${labels},le="${limit}"} ${buckets[at]}`);
      lines.push(`${name}_bucket{${labels},le="+Inf"} ${count}`);
      lines.push(`${name}_sum{${labels}} ${sumS}`, `${name}_count{${labels}} ${count}`);
    }
    for (const [name, count] of this.#events)
      lines.push(`# TYPE wherry_registry_${name}_total counter`, `wherry_registry_${name}_total ${count}`);
    return `${lines.join("\n")}\n`;
  }
}

function increase(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
