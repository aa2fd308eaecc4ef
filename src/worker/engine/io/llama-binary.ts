import { readFile } from "node:fs/promises";
import { createRequire, findPackageJSON } from "node:module";
import { dirname, join } from "node:path";
import { arch, platform } from "node:process";
import { getLlama, Llama, LlamaLogLevel, type LlamaOptions } from "node-llama-cpp";
import { z } from "zod";
import { CortexError } from "../../../core/errors.ts";
import type { Logger } from "../../../platform/logger.ts";
import type { EngineDevices } from "../../../protocol/worker-messages.ts";

/**
 * Starts llama.cpp on the CPU. Before the binding uses a binary of a package it tries it in a process of its own, so
 * that one that does not fit the machine ends another process than its user's. A worker is such a process already,
 * whose end is told by name, and there is nothing to choose between on a CPU: so the binary is started at once, which
 * saves 0.3 s of each load. Whatever is not as expected here is left to the binding's own way.
 *
 * `Llama._create` is not part of the binding's public interface; its version is pinned, and a test notices when it moves.
 */
export async function startOnCpu(options: Pick<LlamaOptions, "logLevel" | "logger">): Promise<Llama> {
  const binary = await findBinary();
  return binary === undefined
    ? getLlama({ ...options, build: "never", skipDownload: true, progressLogs: false, gpu: false })
    : // oxlint-disable-next-line no-underscore-dangle -- the binding's own name
      (Llama as unknown as Startable)._create({
        ...options,
        ...binary,
        buildType: "prebuilt",
        vramPadding: 0,
        ramPadding: leftOfMemory,
        debug: false,
        numa: false,
      });
}

/** `engineWords` gets what llama.cpp says of errors. Throws `load_failed`. */
export async function startLlama(
  options: { readonly gpu: boolean; readonly logger: Logger },
  engineWords: string[],
): Promise<Llama> {
  try {
    const told = {
      logLevel: LlamaLogLevel.warn,
      logger: (level: LlamaLogLevel, message: string): void => {
        const line = message.trim();
        if (level === LlamaLogLevel.error || level === LlamaLogLevel.fatal) engineWords.push(line);
        options.logger[level === LlamaLogLevel.warn ? "warn" : "error"]({ engine: "llama.cpp" }, line);
      },
    };
    if (!options.gpu) return await startOnCpu(told);
    const llama = await getLlama({
      ...told,
      build: "never",
      skipDownload: true,
      progressLogs: false,
      gpu: "auto",
    });
    if (llama.gpu !== false) return llama;
  } catch (thrown) {
    throw new CortexError("load_failed", "no llama.cpp binary for this machine could be started", {
      cause: thrown,
      next: "check that node-llama-cpp's binary package for this platform is installed",
    });
  }
  throw new CortexError("load_failed", "the model is to run on a GPU and llama.cpp found none it can use", {
    next: "check the GPU driver, or load the model on the CPU",
  });
}

/** The GPUs that the engine would use by itself, and their memory at this moment. Throws what the binding throws. */
export async function readEngineDevices(): Promise<EngineDevices> {
  const llama = await getLlama({
    build: "never",
    skipDownload: true,
    progressLogs: false,
    logLevel: LlamaLogLevel.disabled,
    gpu: "auto",
  });
  if (llama.gpu === false) return { gpu: null, names: [], total_bytes: 0, used_bytes: 0 };
  const [names, { total, used }] = await Promise.all([llama.getGpuDeviceNames(), llama.getVramState()]);
  return { gpu: llama.gpu, names, total_bytes: total, used_bytes: used };
}

interface Startable {
  readonly _create: (options: Readonly<Record<string, unknown>>) => Promise<Llama>;
}

interface Binary {
  readonly bindings: unknown;
  readonly bindingPath: string;
  readonly buildMetadata: unknown;
}

const MOST_LEFT_BYTES = 2 ** 30;
/** What the binding leaves to others on Linux. */
const leftOfMemory = (totalBytes: number): number => Math.floor(Math.min(totalBytes / 4, MOST_LEFT_BYTES));

const packageSchema = z.object({ version: z.string() });
const metadataSchema = z.looseObject({
  buildOptions: z.looseObject({
    gpu: z.literal(false),
    llamaCpp: z.object({ repo: z.string(), release: z.string() }),
  }),
});

/** The one that npm installed for this machine; on other systems the binding tries none anyway. */
export async function findBinary(): Promise<Binary | undefined> {
  if (platform !== "linux") return undefined;
  const system = `${platform}-${arch === "arm" ? "armv7l" : arch}`;
  const engine = import.meta.resolve("node-llama-cpp");
  try {
    const own = findPackageJSON("node-llama-cpp", import.meta.url);
    const found = findPackageJSON(`@node-llama-cpp/${system}`, engine);
    if (own === undefined || found === undefined) return undefined;
    const versionOf = async (path: string): Promise<string> =>
      packageSchema.parse(JSON.parse(await readFile(path, "utf8"))).version;
    if ((await versionOf(own)) !== (await versionOf(found))) return undefined;
    const directory = join(dirname(found), "bins", system);
    const metadata: unknown = JSON.parse(await readFile(join(directory, "_nlcBuildMetadata.json"), "utf8"));
    const bindingPath = join(directory, "llama-addon.node");
    return {
      bindings: createRequire(engine)(bindingPath) as unknown,
      bindingPath,
      buildMetadata: metadataSchema.parse(metadata),
    };
  } catch {
    return undefined;
  }
}
