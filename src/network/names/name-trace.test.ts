import { expect, test } from "bun:test";
import { candidates } from "./name-trace.ts";

test("a resolver's names in their order, by the search list and ndots", () => {
  const list = "search corp.example. example\noptions ndots:2\n";
  expect(candidates("db", list)).toEqual(["db.corp.example", "db.example", "db"]);
  expect(candidates("a.b.c", list)).toEqual(["a.b.c", "a.b.c.corp.example", "a.b.c.example"]);
  expect(candidates("db.", list)).toEqual(["db"]);
  expect(candidates("db", "nameserver 127.0.0.11\noptions ndots:0\n")).toEqual(["db"]);
  expect(candidates("db", "search .\n")).toEqual(["db"]);
});
