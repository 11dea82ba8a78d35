/** A question with yes or no for an answer, asked where the answer is typed. */
import { type CliIo, write } from "#cli/flags/command.ts";

/** True for an answer that begins with y; false for any other, and for the end of input. */
export async function confirmed(io: CliIo, question: string): Promise<boolean> {
  await write(io.stdout, question);
  const answer = await new Promise<string>((resolve) => {
    let text = "";
    const take = (bytes: Buffer): void => {
      text += bytes.toString();
      if (text.includes("\n")) done();
    };
    const done = (): void => {
      io.stdin.off("data", take);
      io.stdin.off("end", done);
      io.stdin.pause();
      resolve(text);
    };
    io.stdin.on("data", take);
    io.stdin.once("end", done);
    io.stdin.resume();
  });
  return /^\s*y(?:es)?\s*$/i.test(answer.split("\n")[0] ?? "");
}
