import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { z } from "zod";
import { startDemoFleet } from "./demo-fleet.ts";

const run = promisify(execFile);

const SCRIPT = fileURLToPath(new URL("sdk_python.py", import.meta.url));

/** `mine`: which checks of the script are about the SDK. */
export const PYTHON_SDKS = [
  { name: "openai", version: "3.57.0", dialect: "openai", mine: /^(?:openai|chat|responses): / },
  { name: "anthropic", version: "2.14.0", dialect: "anthropic", mine: /^(?:anthropic|messages): / },
] as const;

const checkSchema = z.object({ check: z.string(), passed: z.boolean(), detail: z.string() });

const coldSchema = z.object({
  name: z.enum(["openai", "anthropic"]),
  dialect: z.enum(["openai", "responses", "anthropic"]),
  answers: z.array(z.string()),
  seconds: z.number(),
});

/** What sdk_cold.py has printed, with the versions that were installed. */
export const pythonSdkChecks = (lines: readonly string[]) =>
  lines
    .map((line) => coldSchema.parse(JSON.parse(line)))
    .map((check) => ({
      ...check,
      version: PYTHON_SDKS.find(({ name }) => name === check.name)?.version ?? "",
    }));

/** The path of a Python that has the SDKs. */
export async function installSdks(into: string): Promise<string> {
  const directory = join(into, "sdk-python");
  const wanted = PYTHON_SDKS.map(({ name, version }) => `${name}==${version}`);
  const mark = join(directory, `installed-${wanted.join("-")}`);
  if (!existsSync(mark)) {
    await mkdir(directory, { recursive: true });
    await run("python3", ["-m", "venv", directory]);
    await run(join(directory, "bin/pip"), ["install", "--quiet", ...wanted]);
    await writeFile(mark, "");
  }
  return join(directory, "bin/python");
}

/** The official Python SDKs over the real engine. */
export async function runPythonSdks(into: string) {
  const python = await installSdks(into);
  await using fleet = await startDemoFleet();
  const startedMs = performance.now();
  const line = [SCRIPT, fleet.gatewayUrl, fleet.neuronUrl];
  // It ends with 1 where a check failed, and has said which.
  const stdout = await run(python, line, { timeout: 240_000 }).then(
    (done) => done.stdout,
    (failed: { readonly stdout: string }) => failed.stdout,
  );
  const checks = stdout
    .split("\n")
    .filter((text) => text !== "")
    .map((text) => checkSchema.parse(JSON.parse(text)));
  return { checks, seconds: Math.round((performance.now() - startedMs) / 100) / 10 };
}
