import { handle } from "@oclif/core/handle";
import type { PJSON } from "@oclif/core/interfaces";
import { run } from "@oclif/core/run";
import { packageDirectory, packageManifest } from "../platform/package-paths.ts";
import { outliveReaders } from "../platform/shutdown.ts";

/** The command that the arguments name, run to its end. */
export async function runProgram(commandLine: readonly string[]): Promise<void> {
  outliveReaders();
  try {
    await run([...commandLine], { root: packageDirectory(), pjson: packageManifest() as PJSON });
  } catch (thrown) {
    await handle(thrown instanceof Error ? thrown : new Error(String(thrown)));
  }
}
