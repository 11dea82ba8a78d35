import { afterAll, beforeEach, expect, test } from "bun:test";
import { lstatSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fetchSource, isRemote } from "./fetch-source.ts";

const base = mkdtempSync(join(tmpdir(), "wherry-fetch-"));
const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  fetch(request) {
    const { pathname } = new URL(request.url);
    if (pathname === "/gone") return new Response("no", { status: 404 });
    if (pathname === "/moved") return Response.redirect("/a%20file.txt");
    if (pathname === "/slow") return new Response(new ReadableStream({ start: (c) => c.enqueue("x") }));
    const named = { "content-disposition": 'attachment; filename="named.txt"' };
    return new Response("content", {
      headers: { "last-modified": "Thu, 01 Jan 2026 00:00:00 GMT", ...(pathname === "/x/" && named) },
    });
  },
});
const address = `http://127.0.0.1:${server.port}`;
let directory: string;

beforeEach(() => {
  directory = join(base, crypto.randomUUID());
  mkdirSync(directory);
});
afterAll(async () => {
  await server.stop(true);
  rmSync(base, { recursive: true });
});

function get(path: string, o: { checksum?: string; signal?: AbortSignal } = {}) {
  const signal = o.signal ?? new AbortController().signal;
  return fetchSource(address + path, { directory, checksum: o.checksum ?? "", signal });
}

test("a file is named by its address, keeps the server's time and is root's alone", async () => {
  const source = await get("/dir/a%20file.txt?x=1");
  expect(source).toMatchObject({ name: "a file.txt", fetched: true, directory: false });
  expect(readFileSync(source.path, "utf8")).toBe("content");
  const stat = lstatSync(source.path);
  expect([stat.mode & 0o777, stat.mtimeMs]).toEqual([0o600, Date.parse("2026-01-01T00:00:00Z")]);
});

test("an address without a name takes the server's, or none", async () => {
  expect((await get("/x/")).name).toBe("named.txt");
  rmSync(join(directory, "content"));
  expect((await get("/y/")).name).toBe("");
});

test("a redirect is followed", async () => {
  expect((await get("/moved")).name).toBe("moved");
});

test("a refusal names the status", async () => {
  await expect(get("/gone")).rejects.toThrow(`failed to GET ${address}/gone with status 404 Not Found`);
});

test("a checksum that differs is refused", async () => {
  const hex = new Bun.CryptoHasher("sha256").update("content").digest("hex");
  expect((await get("/ok", { checksum: `sha256:${hex}` })).name).toBe("ok");
  rmSync(join(directory, "content"));
  await expect(get("/ok", { checksum: "sha256:00" })).rejects.toThrow(
    `digest mismatch sha256:${hex}: sha256:00`,
  );
});

test("a server that is not there is unavailable", async () => {
  const closed = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response() });
  const url = `http://127.0.0.1:${closed.port}/x`;
  await closed.stop(true);
  const getting = fetchSource(url, { directory, checksum: "", signal: new AbortController().signal });
  await expect(getting).rejects.toMatchObject({ kind: "unavailable" });
});

test("cancelling ends a download that hangs", async () => {
  const abort = new AbortController();
  const getting = get("/slow", { signal: abort.signal });
  setTimeout(() => abort.abort(), 20);
  await expect(getting).rejects.toMatchObject({ name: "AbortError" });
});

test("addresses are told from paths, and repositories from files", () => {
  expect(["http://x/y", "HTTPS://x", "x/http://y", "http:"].map(isRemote)).toEqual([
    true,
    true,
    false,
    false,
  ]);
});
