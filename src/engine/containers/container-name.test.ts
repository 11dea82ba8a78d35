import { expect, test } from "bun:test";
import { parseContainerName, randomName } from "./container-name.ts";

test("a name may begin with a slash, which is not part of it", () => {
  expect(parseContainerName("/web-1.a_b")).toBe("web-1.a_b");
});

test.each(["a", "", "-web", "we b", "web/1", "wéb"])("%p is refused in Docker's words", (name) => {
  expect(() => parseContainerName(name)).toThrow(`Invalid container name (${name}), only`);
});

test("random names are allowed names", () => {
  let seed = 0;
  const random = () => (seed = (seed + 0.618) % 1);
  for (let i = 0; i < 500; i += 1) {
    const name = randomName(() => false, random);
    expect(parseContainerName(name)).toBe(name);
  }
});

test("after ten taken names the next has a digit", () => {
  let asked = 0;
  const isTaken = () => {
    asked += 1;
    return asked <= 10;
  };
  expect(randomName(isTaken, () => 0.5)).toMatch(/^[a-z]+_[a-z]+[0-9]$/);
});
