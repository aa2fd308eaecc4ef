import { spawn } from "node:child_process";
import { gitFailure, GIT_SILENCE_MS } from "./git-failure.ts";

interface GitAnswer {
  readonly output: Buffer;
  readonly complaint: string;
  readonly exitCode: number | null;
}

/**
 * What git writes until it ends; one that says nothing for long is ended. simple-git has no way to write to git, so git is
 * called here as it calls it. Throws `fleet_unreachable` when git cannot be started or falls silent.
 */
export function gitWithInput(
  command: readonly string[],
  input: string,
  options: {
    readonly variables: Readonly<Record<string, string>>;
    readonly silenceMs?: number | undefined;
  },
): Promise<GitAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<GitAnswer>();
  const process = spawn("git", command, { env: options.variables, stdio: "pipe" });
  const output: Buffer[] = [];
  const complaints: Buffer[] = [];
  let isSilent = false;
  const silence = setTimeout(() => {
    isSilent = true;
    process.kill("SIGKILL");
  }, options.silenceMs ?? GIT_SILENCE_MS);
  const keep = (chunks: Buffer[]) => (chunk: Buffer) => {
    silence.refresh();
    chunks.push(chunk);
  };
  process.stdout.on("data", keep(output));
  process.stderr.on("data", keep(complaints));
  // git may end before it has read the question; how it ended says why.
  process.stdin.on("error", () => undefined);
  process.stdin.end(input);
  process.on("error", (thrown) => {
    reject(gitFailure(thrown));
  });
  process.on("close", (exitCode) => {
    clearTimeout(silence);
    const complaint = Buffer.concat(complaints).toString("utf8");
    if (isSilent) reject(gitFailure(new Error(SILENCE_WORDS)));
    else resolve({ output: Buffer.concat(output), complaint, exitCode });
  });
  return promise;
}

/** As simple-git says it of the processes that it ends. */
const SILENCE_WORDS = "block timeout reached";
