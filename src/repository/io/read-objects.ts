import type { SimpleGit } from "simple-git";
import { parseBatch } from "../parse-batch.ts";
import { absoluteGitDirectory } from "./git.ts";
import { gitFailure } from "./git-failure.ts";
import { gitWithInput } from "./git-input.ts";
import { readingEnvironment, READ_ONLY, type GitEnvironment } from "./git-process.ts";

/**
 * The texts of objects, by object: one process for all of them, since a fleet may have hundreds of files. Throws
 * `fleet_unreachable`.
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
  const answer = await gitWithInput(command, `${asked.join("\n")}\n`, {
    variables: readingEnvironment(environment),
    silenceMs: environment.silenceMs,
  });
  const texts = parseBatch(answer.output);
  const missing = asked.find((object) => !texts.has(object));
  if (missing === undefined) return texts;
  throw gitFailure(new Error(answer.complaint === "" ? `object ${missing} is missing` : answer.complaint));
}
