/** Every command's name and summary, and where it is loaded from when it is called. */
import type { Command } from "./flags/command.ts";

export interface CommandEntry {
  readonly summary: string;
  readonly load: () => Promise<Command>;
}

type Loader = () => Promise<Readonly<Record<string, Command>>>;

function from(loader: Loader, name: string, summary: string): CommandEntry {
  return {
    summary,
    load: async () => {
      const command = (await loader())[name];
      if (command === undefined) throw new Error(`no command ${name}`);
      return command;
    },
  };
}

const lifecycle: Loader = async () => await import("./commands/lifecycle.ts").then((each) => each.commands);
const streams: Loader = async () => await import("./commands/streams.ts").then((each) => each.commands);
const execs: Loader = async () => await import("./commands/exec.ts").then((each) => each.commands);
const running: Loader = async () => await import("./commands/run.ts").then((each) => each.commands);
const updating: Loader = async () => await import("./commands/update.ts").then((each) => each.commands);
const looking: Loader = async () => await import("./commands/inspect.ts").then((each) => each.commands);
const listing: Loader = async () => await import("./commands/ps.ts").then((each) => each.commands);
const usage: Loader = async () => await import("./commands/stats.ts").then((each) => each.commands);
const images: Loader = async () => await import("./commands/images.ts").then((each) => each.commands);
const building: Loader = async () => await import("./commands/build.ts").then((each) => each.commands);
const explainingBuilds: Loader = async () =>
  await import("./commands/why-not-cached.ts").then((each) => each.commands);
const buildCache: Loader = async () => await import("./commands/builder.ts").then((each) => each.commands);
const buildHistory: Loader = async () =>
  await import("./commands/build-history.ts").then((each) => each.commands);
const archiving: Loader = async () => await import("./commands/archive.ts").then((each) => each.commands);
const storing: Loader = async () => await import("./commands/image-store.ts").then((each) => each.commands);
const registry: Loader = async () => await import("./commands/registry.ts").then((each) => each.commands);
const system: Loader = async () => await import("./commands/system.ts").then((each) => each.commands);
const explaining: Loader = async () => await import("./commands/why.ts").then((each) => each.commands);
const happenings: Loader = async () => await import("./commands/events.ts").then((each) => each.commands);
const completing: Loader = async () => await import("./commands/completion.ts").then((each) => each.commands);
const space: Loader = async () => await import("./commands/df.ts").then((each) => each.commands);
const trash: Loader = async () => await import("./commands/trash.ts").then((each) => each.commands);
const protecting: Loader = async () => await import("./commands/protect.ts").then((each) => each.commands);
const clearing: Loader = async () => await import("./commands/system-prune.ts").then((each) => each.commands);
const checking: Loader = async () => await import("./commands/check.ts").then((each) => each.commands);
const volumeFiles: Loader = async () =>
  await import("./commands/volume-files.ts").then((each) => each.commands);
const volumes: Loader = async () => await import("./commands/volume.ts").then((each) => each.commands);
const networks: Loader = async () => await import("./commands/network.ts").then((each) => each.commands);
const copying: Loader = async () => await import("./commands/cp.ts").then((each) => each.commands);
const files: Loader = async () => await import("./commands/files.ts").then((each) => each.commands);
const lists: Loader = async () => await import("./commands/manifest.ts").then((each) => each.commands);
const contexts: Loader = async () => await import("./commands/context.ts").then((each) => each.commands);
const committing: Loader = async () => await import("./commands/commit.ts").then((each) => each.commands);

export const commandTable: Readonly<Record<string, CommandEntry>> = {
  run: from(running, "run", "Create and run a new container from an image"),
  exec: from(execs, "exec", "Execute a command in a running container"),
  "exec-kill": from(
    execs,
    "kill",
    "Kill one or more execs, by the ids that inspect shows of their container",
  ),
  ps: from(listing, "ps", "List containers"),
  pull: from(registry, "pull", "Download an image from a registry"),
  push: from(registry, "push", "Upload an image to a registry"),
  build: from(building, "build", "Build an image from a Dockerfile"),
  images: from(images, "images", "List images"),
  login: from(registry, "login", "Authenticate to a registry"),
  logout: from(registry, "logout", "Log out from a registry"),
  search: from(registry, "search", "Search Docker Hub for images"),
  version: from(system, "version", "Show the version information"),
  info: from(system, "info", "Display system-wide information"),
  attach: from(
    streams,
    "attach",
    "Attach local standard input, output, and error streams to a running container",
  ),
  commit: from(committing, "commit", "Create a new image from a container's changes"),
  completion: from(completing, "completion", "Generate the completion script for a shell: bash, zsh or fish"),
  cp: from(copying, "cp", "Copy files/folders between a container and the local filesystem"),
  create: from(running, "create", "Create a new container"),
  diff: from(files, "diff", "Inspect changes to files or directories on a container's filesystem"),
  export: from(files, "export", "Export a container's filesystem as a tar archive"),
  events: from(happenings, "events", "Get real time events from the server"),
  history: from(images, "history", "Show the history of an image"),
  import: from(images, "import", "Import the contents from a tarball to create a filesystem image"),
  inspect: from(looking, "inspect", "Return low-level information on objects"),
  kill: from(lifecycle, "kill", "Kill one or more running containers"),
  load: from(archiving, "load", "Load an image from a tar archive or STDIN"),
  logs: from(streams, "logs", "Fetch the logs of a container"),
  pause: from(lifecycle, "pause", "Pause all processes within one or more containers"),
  port: from(looking, "port", "List port mappings or a specific mapping for the container"),
  rename: from(lifecycle, "rename", "Rename a container"),
  restart: from(lifecycle, "restart", "Restart one or more containers"),
  rm: from(lifecycle, "rm", "Remove one or more containers"),
  rmi: from(images, "rmi", "Remove one or more images"),
  save: from(archiving, "save", "Save one or more images to a tar archive (streamed to STDOUT by default)"),
  start: from(streams, "start", "Start one or more stopped containers"),
  stats: from(usage, "stats", "Display a live stream of container(s) resource usage statistics"),
  stop: from(lifecycle, "stop", "Stop one or more running containers"),
  tag: from(images, "tag", "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE"),
  top: from(usage, "top", "Display the running processes of a container"),
  undo: from(trash, "undo", "Bring back volumes that were removed"),
  unpause: from(lifecycle, "unpause", "Unpause all processes within one or more containers"),
  update: from(updating, "update", "Update configuration of one or more containers"),
  why: from(explaining, "why", "Explain why a container is in the state it is in"),
  wait: from(lifecycle, "wait", "Block until one or more containers stop, then print their exit codes"),
  "image blobs": from(storing, "image blobs", "Say why each blob of the image store is kept"),
  "image inspect": from(looking, "image inspect", "Display detailed information on one or more images"),
  "image prune": from(storing, "image prune", "Remove unused images"),
  "image squash": from(committing, "squash", "Put the layers of an image into one"),
  "manifest annotate": from(lists, "annotate", "Add additional information to a local image manifest"),
  "manifest create": from(
    lists,
    "create",
    "Create a local manifest list for annotating and pushing to a registry",
  ),
  "manifest inspect": from(lists, "inspect", "Display an image manifest, or manifest list"),
  "manifest push": from(lists, "push", "Push a manifest list to a repository"),
  "manifest rm": from(lists, "rm", "Delete one or more manifest lists from local storage"),
  "container inspect": from(
    looking,
    "container inspect",
    "Display detailed information on one or more containers",
  ),
  "container protect": from(protecting, "container protect", "Keep containers from being removed"),
  "container unprotect": from(protecting, "container unprotect", "Let protected containers be removed"),
  "container prune": from(space, "prune", "Remove all stopped containers"),
  "build why-not-cached": from(
    explainingBuilds,
    "why-not-cached",
    "Say which steps of the last build were done again, and what had changed",
  ),
  "context create": from(contexts, "create", "Create a context"),
  "context export": from(
    contexts,
    "export",
    "Export a context to a tar archive FILE or a tar stream on STDOUT.",
  ),
  "context import": from(contexts, "import", "Import a context from a tar or zip file"),
  "context inspect": from(contexts, "inspect", "Display detailed information on one or more contexts"),
  "context ls": from(contexts, "ls", "List contexts"),
  "context rm": from(contexts, "rm", "Remove one or more contexts"),
  "context show": from(contexts, "show", "Print the name of the current context"),
  "context update": from(contexts, "update", "Update a context"),
  "context use": from(contexts, "use", "Set the current docker context"),
  "builder du": from(buildCache, "du", "Show what builds keep"),
  "builder history export": from(
    buildHistory,
    "export",
    "Write build records into a bundle that Docker Desktop imports",
  ),
  "builder history inspect": from(buildHistory, "inspect", "Inspect a build record"),
  "builder history inspect attachment": from(
    buildHistory,
    "attachment",
    "Print an attachment of a build record",
  ),
  "builder history logs": from(buildHistory, "logs", "Print the logs of a build record"),
  "builder history ls": from(buildHistory, "ls", "List build records"),
  "builder history rm": from(buildHistory, "rm", "Remove build records"),
  "builder prune": from(buildCache, "prune", "Remove build cache"),
  "system prune": from(clearing, "system prune", "Remove unused data"),
  "system check": from(checking, "system check", "Compare what the engine keeps with what is there"),
  "system df": from(space, "df", "Show disk usage"),
  "trash empty": from(trash, "empty", "Have removed volumes gone for good"),
  "trash ls": from(trash, "ls", "List removed volumes that can be had back"),
  "volume clone": from(volumeFiles, "clone", "Make a volume with all that another one has"),
  "volume cp": from(volumeFiles, "cp", "Copy files/folders between a volume and the local filesystem"),
  "volume create": from(volumes, "create", "Create a volume"),
  "volume export": from(volumeFiles, "export", "Write a volume's files as a tar archive"),
  "volume import": from(volumeFiles, "import", "Make a volume from a tar archive"),
  "volume inspect": from(volumes, "inspect", "Display detailed information on one or more volumes"),
  "volume ls": from(volumes, "ls", "List volumes"),
  "volume mv": from(volumeFiles, "mv", "Rename a volume"),
  "volume protect": from(protecting, "volume protect", "Keep volumes from being removed"),
  "volume prune": from(volumes, "prune", "Remove unused local volumes"),
  "volume restore": from(volumeFiles, "restore", "Have a volume be again as its snapshot is"),
  "volume rm": from(volumes, "rm", "Remove one or more volumes"),
  "volume unprotect": from(protecting, "volume unprotect", "Let protected volumes be removed"),
  "volume snapshot": from(volumeFiles, "snapshot", "Keep a volume as it is now, as another volume"),
  "network audit": from(networks, "audit", "Say what is reachable from where, and why"),
  "network connect": from(networks, "connect", "Connect a container to a network"),
  "network create": from(networks, "create", "Create a network"),
  "network disconnect": from(networks, "disconnect", "Disconnect a container from a network"),
  "network inspect": from(networks, "inspect", "Display detailed information on one or more networks"),
  "network ls": from(networks, "ls", "List networks"),
  "network prune": from(networks, "prune", "Remove all unused networks"),
  "network rm": from(networks, "rm", "Remove one or more networks"),
  "network trace": from(networks, "trace", "Say where a container's answer to a name comes from"),
};

/** The same command by its noun. */
const aliases: Readonly<Record<string, string>> = {
  "container ls": "ps",
  "container list": "ps",
  "container ps": "ps",
  "image ls": "images",
  "image list": "images",
  "image rm": "rmi",
  "image build": "build",
  "image history": "history",
  "image import": "import",
  "image tag": "tag",
  "image load": "load",
  "image pull": "pull",
  "image push": "push",
  "image save": "save",
  "trash list": "trash ls",
  "volume list": "volume ls",
  "volume remove": "volume rm",
  "network list": "network ls",
  "network remove": "network rm",
  "context list": "context ls",
  "context remove": "context rm",
  "system info": "info",
  "system events": "events",
  "builder build": "build",
  "builder history list": "builder history ls",
  "builder history remove": "builder history rm",
};
const containerVerbs =
  "run exec attach commit cp create diff export kill logs pause port rename restart rm start stats stop top unpause update wait why".split(
    " ",
  );

export const commandGroups: Readonly<Record<string, string>> = {
  container: "Manage containers",
  context: "Manage contexts",
  image: "Manage images",
  manifest: "Manage image manifests and manifest lists",
  volume: "Manage volumes",
  network: "Manage networks",
  builder: "Manage builds",
  "builder history": "Commands to work on build records",
  trash: "Manage removed volumes",
  system: "Manage the engine",
  /** What is in it, `bin` says. */
  registry: "Serve and manage registries",
};

/** Other names of a group's commands, which its help does not list. */
const otherVerbs = ["list", "ps", "remove"];

/** A group's commands in the order of their names. */
export function commandsOf(
  group: string,
): { readonly verb: string; readonly name: string; readonly entry: CommandEntry }[] {
  const prefix = `${group} `;
  const named = [
    ...Object.entries(aliases),
    ...Object.keys(commandTable).map((name) => [name, name] as const),
  ]
    .filter(([long]) => long.startsWith(prefix))
    .map(([long, name]) => [long.slice(prefix.length), name] as const);
  const verbs = group === "container" ? containerVerbs.map((verb) => [verb, verb] as const) : [];
  return [...named, ...verbs]
    .filter(([verb]) => !otherVerbs.includes(verb) && !verb.includes(" "))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([verb, name]) => {
      const entry = commandTable[name];
      return entry === undefined ? [] : [{ verb, name, entry }];
    });
}

/** Groups within a group, by what they are called there. */
export function subgroupsOf(group: string): [verb: string, summary: string][] {
  const prefix = `${group} `;
  return Object.entries(commandGroups).flatMap(([name, summary]) =>
    name.startsWith(prefix) ? [[name.slice(prefix.length), summary]] : [],
  );
}

/** The group that is all the words, or all but the last of them. */
export function groupOf(
  words: readonly string[],
): { readonly group: string; readonly verb?: string } | undefined {
  for (const count of [words.length, words.length - 1]) {
    const group = words.slice(0, count).join(" ");
    const verb = words[count];
    if (commandGroups[group] !== undefined) return { group, ...(verb !== undefined && { verb }) };
  }
  return undefined;
}

/** Everything a command can be called, with its noun first. */
export function namesOf(name: string): string[] {
  const long = Object.entries(aliases).flatMap(([each, of]) => (of === name ? [each] : []));
  const container = containerVerbs.includes(name) ? [`container ${name}`] : [];
  return [...new Set([...long, ...container, name])];
}

/** In the longest name. */
const wordsMax = 4;

/** The command that the words begin with, and the words behind it. */
export function resolveCommand(words: readonly string[]):
  | {
      readonly name: string;
      /** As it was written. */
      readonly called: string;
      readonly entry: CommandEntry;
      readonly args: readonly string[];
    }
  | undefined {
  for (let count = wordsMax; count > 2; count--) {
    const called = words.slice(0, count).join(" ");
    const name = aliases[called] ?? called;
    const entry = words.length < count ? undefined : commandTable[name];
    if (entry !== undefined) return { name, called, entry, args: words.slice(count) };
  }
  const [first = "", second = ""] = words;
  const pair = `${first} ${second}`;
  const paired = aliases[pair] ?? (first === "container" && containerVerbs.includes(second) ? second : pair);
  const long = commandTable[paired];
  if (long !== undefined) return { name: paired, called: pair, entry: long, args: words.slice(2) };
  const short = commandTable[first];
  return short === undefined ? undefined : { name: first, called: first, entry: short, args: words.slice(1) };
}
