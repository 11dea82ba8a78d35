/** Where builds fetch from, in an engine's network: repositories by git's own server program, and files with their paths. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { inNamespace } from "#kernel/network/netns.ts";
import type { EngineUnderTest } from "./engine-under-test.ts";

const author = {
  ...{ GIT_AUTHOR_NAME: "a", GIT_AUTHOR_EMAIL: "a@example.org", GIT_AUTHOR_DATE: "2026-01-01T00:00:00Z" },
  ...{ GIT_COMMITTER_NAME: "a", GIT_COMMITTER_EMAIL: "a@example.org" },
  ...{ GIT_COMMITTER_DATE: "2026-01-01T00:00:00Z", GIT_CONFIG_GLOBAL: "/dev/null", GIT_CONFIG_NOSYSTEM: "1" },
};

/** Where Debian keeps it; undefined where git is not installed. */
export const gitServer = ["/usr/lib/git-core/git-http-backend"].find(existsSync);

/** git in a directory; @returns what it says. */
export async function git(directory: string, ...args: readonly string[]): Promise<string> {
  const child = spawn("git", ["-C", directory, ...args], { env: { ...process.env, ...author } });
  let said = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (part: Buffer) => {
      said += part.toString();
    });
  const [code] = (await once(child, "close")) as [number];
  if (code !== 0) throw new Error(`git ${args.join(" ")}: ${said}`);
  return said.trim();
}

export class SourceLab implements Disposable {
  readonly #server: ReturnType<typeof Bun.serve>;
  readonly #root: string;
  /** Files by their paths; a status alone is a refusal. */
  readonly files = new Map<string, string | Uint8Array | number>();
  readonly asked: string[] = [];
  /** What `Authorization` must be, for repositories. */
  authorization: string | undefined;

  constructor(engine: EngineUnderTest) {
    this.#root = join(engine.directory, "sources");
    mkdirSync(this.#root);
    const options = {
      hostname: "127.0.0.1",
      port: 0,
      fetch: async (request: Request) => await this.#answer(request),
    };
    this.#server = inNamespace(engine.netns, () => Bun.serve(options));
  }

  [Symbol.dispose](): void {
    void this.#server.stop(true);
  }

  url(path: string): string {
    return `http://127.0.0.1:${this.#server.port}${path}`;
  }

  /** A repository with a work tree beside what is served; @returns the work tree. */
  async repository(name: string, files: Readonly<Record<string, string>>): Promise<string> {
    const tree = join(this.#root, name);
    mkdirSync(tree);
    await git(tree, "init", "-q", "-b", "main");
    await git(tree, "config", "uploadpack.allowAnySHA1InWant", "true");
    await this.commit(tree, files);
    return tree;
  }

  /** @returns The commit. */
  async commit(tree: string, files: Readonly<Record<string, string>>): Promise<string> {
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(tree, path)), { recursive: true });
      writeFileSync(join(tree, path), text);
    }
    await git(tree, "add", "-A");
    await git(tree, "commit", "-q", "-m", "change");
    return await git(tree, "rev-parse", "HEAD");
  }

  async #answer(request: Request): Promise<Response> {
    const { pathname, search } = new URL(request.url);
    this.asked.push(pathname);
    const file = this.files.get(pathname);
    if (typeof file === "number") return new Response("no such thing", { status: file });
    if (file !== undefined) return new Response(file as string);
    const [, name = "", rest = ""] = /^\/([\w-]+)\.git(\/.*)$/.exec(pathname) ?? [];
    if (name === "") return new Response("not here", { status: 404 });
    if (this.authorization !== undefined && request.headers.get("authorization") !== this.authorization)
      return new Response("who are you", { status: 401, headers: { "WWW-Authenticate": "Basic" } });
    return await this.#git(request, `/${name}/.git${rest}`, search.slice(1));
  }

  /** git http-backend speaks CGI (RFC 3875). */
  async #git(request: Request, path: string, query: string): Promise<Response> {
    const child = spawn(gitServer ?? "", {
      env: {
        ...{ ...process.env, ...author, GIT_PROJECT_ROOT: this.#root, GIT_HTTP_EXPORT_ALL: "1" },
        ...{ REQUEST_METHOD: request.method, PATH_INFO: path, QUERY_STRING: query },
        CONTENT_TYPE: request.headers.get("content-type") ?? "",
        HTTP_CONTENT_ENCODING: request.headers.get("content-encoding") ?? "",
        GIT_PROTOCOL: request.headers.get("git-protocol") ?? "",
        REMOTE_ADDR: "127.0.0.1",
      },
      stdio: ["pipe", "pipe", "ignore"],
    });
    child.stdin.end(Buffer.from(await request.arrayBuffer()));
    const said = Buffer.concat(await Array.fromAsync(child.stdout as AsyncIterable<Buffer>));
    const end = said.indexOf("\r\n\r\n");
    const headers = said
      .subarray(0, end)
      .toString()
      .split("\r\n")
      .map((line) => line.split(/: (.*)/s, 2) as [string, string]);
    const status = Number(headers.find(([name]) => name === "Status")?.[1].slice(0, 3) ?? 200);
    return new Response(said.subarray(end + 4), {
      status,
      headers: headers.filter(([name]) => name !== "Status"),
    });
  }
}
