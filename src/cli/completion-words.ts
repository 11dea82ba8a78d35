/**
 * What can stand where on a command line: kinds of things that arguments name, and the values flags take.
 * Pure.
 */

/** A kind of thing of the engine's, or a fixed set of words. */
export type Kind =
  | "containers"
  | "running"
  | "paused"
  | "unpaused"
  | "stopped"
  | "images"
  | "networks"
  | "volumes"
  | "trash"
  | "contexts"
  | "objects"
  | "environment"
  | "files"
  | "nothing";

/** The kinds of a command's arguments, in order; the last stands for all that follow. */
const argumentKinds: Readonly<Record<string, readonly Kind[]>> = {
  attach: ["running", "nothing"],
  build: ["files"],
  commit: ["containers", "images", "nothing"],
  cp: ["files"],
  create: ["images", "files"],
  diff: ["containers", "nothing"],
  exec: ["running", "files"],
  export: ["containers", "nothing"],
  history: ["images", "nothing"],
  import: ["files"],
  inspect: ["objects"],
  kill: ["running"],
  load: ["nothing"],
  logs: ["containers", "nothing"],
  pause: ["unpaused"],
  port: ["containers", "nothing"],
  pull: ["images", "nothing"],
  push: ["images", "nothing"],
  rename: ["containers", "nothing"],
  restart: ["containers"],
  rm: ["containers"],
  rmi: ["images"],
  run: ["images", "files"],
  save: ["images"],
  start: ["stopped"],
  stats: ["running"],
  stop: ["running"],
  tag: ["images"],
  top: ["running", "nothing"],
  undo: ["trash", "nothing"],
  unpause: ["paused"],
  update: ["containers"],
  wait: ["containers"],
  why: ["containers", "nothing"],
  "container inspect": ["containers"],
  "container protect": ["containers"],
  "container unprotect": ["containers"],
  "context create": ["nothing"],
  "context export": ["contexts", "files"],
  "context import": ["nothing", "files"],
  "context inspect": ["contexts"],
  "context rm": ["contexts"],
  "context update": ["contexts", "nothing"],
  "context use": ["contexts", "nothing"],
  "image inspect": ["images"],
  "image squash": ["images", "nothing"],
  "network connect": ["networks", "containers", "nothing"],
  "network disconnect": ["networks", "containers", "nothing"],
  "network inspect": ["networks"],
  "network rm": ["networks"],
  "network trace": ["containers", "nothing"],
  "trash empty": ["trash"],
  "volume clone": ["volumes", "nothing"],
  "volume cp": ["files"],
  "volume export": ["volumes", "nothing"],
  "volume import": ["volumes", "nothing"],
  "volume inspect": ["volumes"],
  "volume mv": ["volumes", "nothing"],
  "volume protect": ["volumes"],
  "volume unprotect": ["volumes"],
  "volume restore": ["volumes", "volumes", "nothing"],
  "volume rm": ["volumes"],
  "volume snapshot": ["volumes", "nothing"],
};

/** The kind of the argument behind `before` others. */
export function argumentKind(command: string, before: number): Kind {
  const kinds = argumentKinds[command] ?? ["nothing"];
  return kinds[Math.min(before, kinds.length - 1)] ?? "nothing";
}

const filterKeys: Readonly<Record<string, string>> = {
  ps: "ancestor before exited expose health id is-task isolation label name network publish since status volume",
  images: "before dangling label reference since until",
  events: "config container daemon event image label network node plugin scope secret service type volume",
  "container prune": "label label! until",
  "image prune": "dangling label label! until",
  "network ls": "dangling driver id label name scope type",
  "network prune": "label label! until",
  "system prune": "label label! until",
  "volume ls": "dangling driver label name",
  "volume prune": "all label label!",
};

/** Values of the keys of `--filter`. */
const filterValues: Readonly<Record<string, string | Kind>> = {
  ancestor: "images",
  before: "containers",
  container: "containers",
  dangling: "true false",
  event:
    "attach commit connect copy create delete destroy detach die disconnect exec_create exec_detach exec_die exec_start export health_status import kill load mount oom pause prune pull push reload rename resize restart save start stop tag top unmount unpause untag update",
  health: "starting healthy unhealthy none",
  image: "images",
  "is-task": "true false",
  isolation: "default",
  network: "networks",
  scope: "local swarm",
  since: "containers",
  status: "created running paused restarting removing exited dead",
  type: "config container daemon image network node plugin secret service volume",
  volume: "volumes",
};

const signals =
  "SIGABRT SIGALRM SIGBUS SIGCHLD SIGCONT SIGFPE SIGHUP SIGILL SIGINT SIGIO SIGKILL SIGPIPE SIGPROF SIGPWR SIGQUIT SIGSEGV SIGSTKFLT SIGSTOP SIGSYS SIGTERM SIGTRAP SIGTSTP SIGTTIN SIGTTOU SIGURG SIGUSR1 SIGUSR2 SIGVTALRM SIGWINCH SIGXCPU SIGXFSZ";
const capabilities =
  "ALL AUDIT_CONTROL AUDIT_READ AUDIT_WRITE BLOCK_SUSPEND BPF CHECKPOINT_RESTORE CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID IPC_LOCK IPC_OWNER KILL LEASE LINUX_IMMUTABLE MAC_ADMIN MAC_OVERRIDE MKNOD NET_ADMIN NET_BIND_SERVICE NET_BROADCAST NET_RAW PERFMON SETFCAP SETGID SETPCAP SETUID SYSLOG SYS_ADMIN SYS_BOOT SYS_CHROOT SYS_MODULE SYS_NICE SYS_PACCT SYS_PTRACE SYS_RAWIO SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG WAKE_ALARM";

/** Values of flags by their name, whatever the command. */
const flagValues: Readonly<Record<string, string | Kind>> = {
  attach: "stdin stdout stderr",
  "cap-add": capabilities,
  "cap-drop": capabilities,
  cgroupns: "host private",
  cidfile: "files",
  env: "environment",
  "env-file": "files",
  "label-file": "files",
  format: "json table",
  ipc: "host none private shareable container:",
  link: "containers",
  "log-driver": "fluentd gelf journald json-file local none syslog",
  network: "networks",
  pid: "host container:",
  pull: "always missing never",
  restart: "always no on-failure unless-stopped",
  "security-opt": "apparmor= label= no-new-privileges seccomp= systempaths=unconfined",
  signal: signals,
  "stop-signal": signals,
  type: "config container image network node plugin secret service task volume",
  uts: "host",
  userns: "host",
  volume: "files",
  "volumes-from": "containers",
  file: "files",
  iidfile: "files",
  output: "files",
};

const kinds: readonly string[] = [
  ...[
    "containers",
    "running",
    "paused",
    "unpaused",
    "stopped",
    "images",
    "networks",
    "volumes",
    "trash",
    "contexts",
  ],
  ...["objects", "environment", "files", "nothing"],
];

export interface Choice {
  /** Words that can stand there. */
  readonly words: readonly string[];
  readonly kind: Kind;
}

function choice(values: string | Kind | undefined): Choice {
  if (values === undefined) return { words: [], kind: "nothing" };
  if (kinds.includes(values)) return { words: [], kind: values as Kind };
  return { words: values.split(" "), kind: "nothing" };
}

/** What a flag takes; `typed` is its value so far. */
export function flagChoice(command: string, flag: string, typed: string): Choice {
  if (flag !== "filter") return choice(flagValues[flag]);
  const equals = typed.indexOf("=");
  if (equals >= 0) {
    const key = typed.slice(0, equals);
    const { words, kind } = choice(filterValues[key]);
    return { words: words.map((word) => `${key}=${word}`), kind };
  }
  return {
    words: (filterKeys[command] ?? "")
      .split(" ")
      .filter(Boolean)
      .map((key) => `${key}=`),
    kind: "nothing",
  };
}
