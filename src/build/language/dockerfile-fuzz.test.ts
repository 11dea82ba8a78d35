/** Made-up Dockerfiles: every one gets instructions or diagnostics, none an exception, none takes for ever. */
import { expect, test } from "bun:test";
import { fuzz, mutated } from "#spec/fuzz-fixture.ts";
import { parseDockerfile, parseTrigger } from "./dockerfile.ts";

const words = [
  ...[
    "FROM",
    "RUN",
    "COPY",
    "ADD",
    "ARG",
    "ENV",
    "LABEL",
    "ONBUILD",
    "HEALTHCHECK",
    "SHELL",
    "USER",
    "VOLUME",
  ],
  ...[
    "EXPOSE",
    "STOPSIGNAL",
    "WORKDIR",
    "CMD",
    "ENTRYPOINT",
    "MAINTAINER",
    "AS",
    "NONE",
    "busybox",
    "scratch",
  ],
  ...[
    "# escape=`\n",
    "# syntax=x\n",
    "# check=skip=all\n",
    "#",
    "--from=",
    "--chmod=",
    "--mount=type=",
    "--interval=1s",
  ],
  ...[
    "<<EOF\n",
    "EOF\n",
    "<<-'X'\n",
    "X\n",
    '["',
    '", "',
    '"]',
    "$",
    "${A:-",
    "}",
    "\\\n",
    "`\n",
    "\\",
    '"',
    "'",
  ],
  ...[
    " ",
    " ",
    " ",
    "\n",
    "\n",
    "\n",
    "\t",
    "\r\n",
    "\0",
    "=",
    ",",
    "/",
    "é",
    "\ufeff",
    "\u2028",
    "a".repeat(300),
  ],
];

const lines = [
  ...[
    "FROM busybox AS base\n",
    "RUN echo a && \\\n  echo b\n",
    "COPY --from=base /a /b\n",
    'CMD ["sh", "-c", "x"]\n',
  ],
  ...[
    "ENV A=b C='d e'\n",
    "RUN <<EOF\necho\nEOF\n",
    "HEALTHCHECK --interval=1s CMD true\n",
    "EXPOSE 80/tcp\n",
  ],
];

test("Dockerfiles", () => {
  let errors = 0;
  const { rounds } = fuzz({
    sample: (dice) => {
      const meant = Buffer.from(`FROM busybox\n${dice.text(lines, 6)}`);
      return dice.chance(2) ? dice.text(words, 40) : mutated(dice, meant, words).toString("utf8");
    },
    check: (text) => {
      const [{ instructions }, diagnostics] = parseDockerfile(text);
      const lines = text.split("\n").length;
      for (const { lines: at } of [...instructions, ...diagnostics]) {
        expect(at.start).toBeGreaterThanOrEqual(1);
        expect(at.end).toBeGreaterThanOrEqual(at.start);
        expect(at.end).toBeLessThanOrEqual(lines + 1);
      }
      if (diagnostics.some(({ severity }) => severity === "error")) errors++;
      else expect(instructions.length).toBeGreaterThan(0);
      // Throws what it refuses.
      parseTrigger(text);
    },
  });
  expect(errors).toBeGreaterThan(0);
  expect(errors).toBeLessThan(rounds);
});
