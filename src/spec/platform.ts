/** Pure. `linux/amd64` and its kin. */
import { Fault } from "./fault.ts";
import type { Platform } from "./image.ts";

const architectures: Readonly<Record<string, string>> = {
  x64: "amd64",
  x86_64: "amd64",
  "x86-64": "amd64",
  aarch64: "arm64",
  armhf: "arm",
  i386: "386",
  ia32: "386",
};

/** The architecture as images name it. */
export function imageArchitecture(name: string): string {
  const lower = name.toLowerCase();
  return architectures[lower] ?? lower;
}

/** `os/arch[/variant]`, or an architecture alone. @throws Fault `invalid`. */
export function parsePlatform(text: string): Platform {
  const parts = text.toLowerCase().split("/");
  const [os = "", architecture = "", variant] = parts.length === 1 ? ["linux", ...parts] : parts;
  if (!/^[a-z0-9_-]+$/.test(os) || !/^[a-z0-9_-]+$/.test(architecture) || parts.length > 3)
    throw new Fault(
      "invalid",
      `failed to parse platform ${text}: ${JSON.stringify(text)} is an invalid OS or architecture: must be of the form os/arch[/variant]`,
    );
  return { os, architecture: imageArchitecture(architecture), ...(variant !== undefined && { variant }) };
}

export function formatPlatform(platform: Platform): string {
  const { os, architecture, variant } = platform;
  return `${os}/${architecture}${variant === undefined ? "" : `/${variant}`}`;
}

/** What a platform can run of others: itself, then older variants of itself. Highest first. */
function variantsOf({ architecture, variant }: Platform): readonly string[] {
  if (architecture === "arm64")
    return variant === undefined || variant === "v8" ? ["v8", ""] : [variant, "v8", ""];
  if (architecture === "arm") {
    const newest = Number(/^v(\d)$/.exec(variant ?? "v7")?.[1] ?? 7);
    return [...Array.from({ length: Math.max(1, newest - 4) }, (_, index) => `v${newest - index}`), ""];
  }
  return variant === undefined ? [""] : [variant, ""];
}

/** How well `offered` runs where `wanted` is asked for: 0 is best, undefined not at all. */
export function platformRank(offered: Platform, wanted: Platform): number | undefined {
  if (offered.os !== wanted.os || imageArchitecture(offered.architecture) !== wanted.architecture)
    return undefined;
  const at = variantsOf(wanted).indexOf(offered.variant ?? "");
  return at < 0 ? undefined : at;
}
