import { spawn } from "node:child_process";
import type { SimpleGit } from "simple-git";
import { parseBatch } from "../parse-batch.ts";
import { absoluteGitDirectory } from "./git.ts";
import { gitFailure, GIT_SILENCE_MS } from "./git-failure.ts";
import { readingEnvironment, READ_ONLY, type GitEnvironment } from "./git-process.ts";

/**
 * The texts of objects, by object: one process for all of them, since a fleet may have hundreds of files. simple-git has no
 * way to write to git, so git is called here as it calls it. Throws `fleet_unreachable`.
 */
export async function readObjects(
  git: SimpleGit,
  objects: readonly string[],
  environment: GitEnvironment,
): Promise<ReadonlyMap<string, string>> {
  const asked = [...new Set(objects)];
  if (asked.length === 0) return new Map();
  const directory = await absoluteGitDirectory(git);
  const config = READ_ONLY.flatMap((setting) => ["-c", setting]);
  const command = [...config, `--git-dir=${directory}`, "cat-file", "--batch"];
  const answer = await answerTo(command, `${asked.join("\n")}\n`, environment);
  const texts = parseBatch(answer.output);
  const missing = asked.find((object) => !texts.has(object));
  if (missing === undefined) return texts;
  throw gitFailure(new Error(answer.complaint === "" ? `object ${missing} is missing` : answer.complaint));
}

interface GitAnswer {
  readonly output: Buffer;
  readonly complaint: string;
}

/** What git writes until it ends; one that says nothing for long is ended. */
function answerTo(
  command: readonly string[],
  question: string,
  environment: GitEnvironment,
): Promise<GitAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<GitAnswer>();
  const process = spawn("git", command, { env: readingEnvironment(environment), stdio: "pipe" });
  const output: Buffer[] = [];
  const complaints: Buffer[] = [];
  let isSilent = false;
  const silence = setTimeout(() => {
    isSilent = true;
    process.kill("SIGKILL");
  }, environment.silenceMs ?? GIT_SILENCE_MS);
  const keep = (chunks: Buffer[]) => (chunk: Buffer) => {
    silence.refresh();
    chunks.push(chunk);
  };
  process.stdout.on("data", keep(output));
  process.stderr.on("data", keep(complaints));
  // git may end before it has read the question; how it ended says why.
  process.stdin.on("error", () => undefined);
  process.stdin.end(question);
  process.on("error", (thrown) => {
    reject(gitFailure(thrown));
  });
  process.on("close", () => {
    clearTimeout(silence);
    if (isSilent) reject(gitFailure(new Error(SILENCE_WORDS)));
    else resolve({ output: Buffer.concat(output), complaint: Buffer.concat(complaints).toString("utf8") });
  });
  return promise;
}

/** As simple-git says it of the processes that it ends. */
const SILENCE_WORDS = "block timeout reached";
