import { execFileSync } from "node:child_process";
import { basename, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import {
  comparedServers,
  loadModel,
  unloadModel,
  type ComparedOptions,
} from "../support/compared-servers.ts";
import { machineLine, median } from "../support/report.ts";
import { healthy, stop, usedBy } from "../support/served-process.ts";
import { complete } from "../support/streamed-completion.ts";
import { shippedModelsDirectory } from "../../src/platform/package-paths.ts";

/*
 * From the start of a process to the first token: a neuron that loads a model at once, llama.cpp's own server, and
 * the bare binding (start of node, load, context), all with the same file and the same slots. Once more for a neuron that
 * runs already: from the request to load.
 */

const { values } = parseArgs({
  options: {
    model: { type: "string", default: `${shippedModelsDirectory()}cortex-demo.gguf` },
    "llama-server": { type: "string" },
    /** Another built checkout, measured in the same rounds. */
    before: { type: "string" },
    "default-threads": { type: "boolean", default: false },
    rounds: { type: "string", default: "3" },
    slots: { type: "string", default: "8" },
    context: { type: "string", default: "2048" },
  },
});
const options: ComparedOptions = {
  model: resolve(values.model),
  slots: Number(values.slots),
  contextTokens: Number(values.context),
  llamaServer: values["llama-server"],
  before: values.before,
  defaultThreads: values["default-threads"],
  threads: 1,
};

/** A neuron that runs has got its next process ready by then. */
const IDLE_MS = 3000;

interface Row {
  readonly name: string;
  readonly tookMs: number;
  readonly cpuMs: number;
  readonly memoryMib: number;
}

const BARE = fileURLToPath(new URL("bare-binding.ts", import.meta.url));

function bareBinding(): Row {
  const startedMs = performance.now();
  const size = [options.model, String(options.slots), String(options.contextTokens)];
  const told = execFileSync(process.execPath, [BARE, ...size], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
  });
  const tookMs = performance.now() - startedMs;
  const [cpuMs = 0, memoryMib = 0] = JSON.parse(told) as number[];
  return { name: "bare binding, until it is loaded", tookMs, cpuMs, memoryMib };
}

async function coldServers(): Promise<readonly Row[]> {
  const rows: Row[] = [];
  for (const compared of comparedServers(options)) {
    const startedMs = performance.now();
    const server = await compared.start();
    const measured = (name: string, sinceMs: number, cpuMsBefore: number): void => {
      const { cpuMs, memoryMib } = usedBy(server.child.pid ?? 0);
      rows.push({ name, tookMs: performance.now() - sinceMs, cpuMs: cpuMs - cpuMsBefore, memoryMib });
    };
    try {
      await healthy(server);
      if (compared.isCortex) await loadModel(server, options);
      await complete(server, "Hello there", 1);
      measured(compared.name, startedMs, 0);
      if (!compared.isCortex) continue;
      await unloadModel(server);
      await delay(IDLE_MS);
      const { cpuMs } = usedBy(server.child.pid ?? 0);
      const askedMs = performance.now();
      await loadModel(server, options);
      await complete(server, "Hello there", 1);
      measured(`${compared.name} that runs, from the request`, askedMs, cpuMs);
    } finally {
      await stop(server);
    }
  }
  return rows;
}

const rows: Row[] = [];
for (let round = 0; round < Number(values.rounds); round++)
  rows.push(bareBinding(), ...(await coldServers()));
console.log(`${basename(options.model)}, ${values.slots} slots; ${machineLine()}`);
console.log("                                            first token ms   CPU ms  memory MiB");
for (const name of new Set(rows.map((row) => row.name))) {
  const of = (field: Exclude<keyof Row, "name">): string =>
    median(rows.filter((row) => row.name === name).map((row) => row[field])).toFixed(0);
  console.log(
    `${name.padEnd(43)} ${of("tookMs").padStart(14)} ${of("cpuMs").padStart(8)} ${of("memoryMib").padStart(11)}`,
  );
}
