import { execFile } from "node:child_process";
import { readdir } from "node:fs/promises";
import { platform } from "node:process";
import { parseJson } from "../../../core/json.ts";
import { err, ok, type Result } from "../../../core/result.ts";
import { withoutCredentials } from "../../../platform/environment.ts";
import { engineDevicesEntryFile } from "../../../platform/package-paths.ts";
import { engineDevicesSchema, type EngineDevices } from "../../../protocol/worker-messages.ts";

export interface EngineQuestion {
  /** The program that looks; the shipped one, and only where a GPU is likely, by default. */
  readonly entry?: string | undefined;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** A binding tries each of its kinds of GPU in a process of its own. */
const ANSWER_TIMEOUT_MS = 20_000;
const MAX_OUTPUT_BYTES = 64 * 1024;
/** Where Linux has the devices that compute. */
const RENDER_DEVICES = "/dev/dri";

/** What the engine finds of GPUs; null where it is not asked, since there is none for all that can be seen. */
export async function askEngine(question: EngineQuestion): Promise<Result<EngineDevices | null, string>> {
  const { entry, environment } = question;
  if (entry === undefined && !(await mayHaveGpu())) return ok(null);
  const settings = {
    timeout: ANSWER_TIMEOUT_MS,
    killSignal: "SIGKILL" as const,
    maxBuffer: MAX_OUTPUT_BYTES,
    env: withoutCredentials(environment),
  };
  return new Promise((resolve) => {
    execFile(process.execPath, [entry ?? engineDevicesEntryFile()], settings, (error, stdout) => {
      if (error === null) resolve(readAnswer(stdout));
      else if (error.killed === true) resolve(err(`no answer within ${ANSWER_TIMEOUT_MS / 1000} s`));
      else resolve(err(`the engine ended with ${error.signal ?? error.code ?? "an error"} while it looked`));
    });
  });
}

function readAnswer(stdout: string): Result<EngineDevices, string> {
  // A driver may print lines of its own before.
  const last = stdout.trimEnd().split("\n").at(-1) ?? "";
  const parsed = engineDevicesSchema.safeParse(parseJson(last));
  return parsed.success ? ok(parsed.data) : err("the answer is not understood");
}

/** Without one the question would only make the start slower. */
async function mayHaveGpu(): Promise<boolean> {
  if (platform !== "linux") return true;
  const names = await readdir(RENDER_DEVICES).catch(() => []);
  return names.some((name) => name.startsWith("renderD"));
}
