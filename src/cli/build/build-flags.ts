/** The flags of `build`, as `docker build` has them. */
import type { FlagSpec } from "#cli/flags/flags.ts";

const list = (name: string, help: string, short?: string): FlagSpec => ({
  ...{ name, kind: "list", help },
  ...(short !== undefined && { short }),
});
const text = (name: string, help: string, short?: string): FlagSpec => ({
  ...{ name, kind: "text", help },
  ...(short !== undefined && { short }),
});
const toggle = (name: string, help: string, short?: string): FlagSpec => ({
  ...{ name, kind: "switch", help },
  ...(short !== undefined && { short }),
});

export const buildFlags: readonly FlagSpec[] = [
  list("add-host", 'Add a custom host-to-IP mapping (format: "host:ip")'),
  list("allow", 'Allow extra privileged entitlement (e.g., "network.host")'),
  list("annotation", "Add annotation to the image"),
  list("attest", 'Attestation parameters (format: "type=sbom,generator=image")'),
  list("build-arg", "Set build-time variables"),
  list("build-context", "Additional build contexts (e.g., name=path)"),
  list("cache-from", 'External cache sources (e.g., "user/app:cache", "type=local,src=path/to/dir")'),
  list("cache-to", 'Cache export destinations (e.g., "type=inline")'),
  text("call", 'Set method for evaluating build ("check", "outline", "targets")'),
  text("cgroup-parent", 'Set the parent cgroup for the "RUN" instructions during build'),
  toggle("check", 'Shorthand for "--call=check"'),
  text("file", 'Name of the Dockerfile (default: "PATH/Dockerfile")', "f"),
  text("iidfile", "Write the image ID to a file"),
  list("label", "Set metadata for an image"),
  toggle("load", "Make an image of the result (always, unless --output says otherwise)"),
  text("metadata-file", "Write build result metadata to a file"),
  text("network", 'Set the networking mode for the "RUN" instructions during build (default "default")'),
  toggle("no-cache", "Do not use cache when building the image"),
  list("no-cache-filter", "Do not cache specified stages"),
  list("output", 'Output destination (format: "type=local,dest=path")', "o"),
  list("platform", "Set target platform for build"),
  text("progress", 'Set type of progress output ("auto", "plain", "tty", "rawjson")'),
  text("provenance", 'Shorthand for "--attest=type=provenance"'),
  toggle("pull", "Always attempt to pull all referenced images"),
  toggle("push", "Push the image under its names when it is built"),
  toggle("quiet", "Suppress the build output and print image ID on success", "q"),
  toggle("rm", "Remove intermediate containers after a successful build (always)"),
  text("sbom", 'Shorthand for "--attest=type=sbom"'),
  list("secret", 'Secret to expose to the build (format: "id=mysecret[,src=/local/secret]")'),
  text("shm-size", "Shared memory size for build containers"),
  toggle("squash", "Squash newly built layers into a single new layer"),
  list("ssh", 'SSH agent socket to expose to the build (format: "default|<id>[=<socket>]")'),
  list("tag", 'Image identifier (format: "[registry/]repository[:tag]")', "t"),
  text("target", "Set the target build stage to build"),
  list("ulimit", "Ulimit options"),
];
