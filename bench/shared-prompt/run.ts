import { basename, resolve } from "node:path";
import { parseArgs } from "node:util";
import {
  comparedServers,
  loadModel,
  type Compared,
  type ComparedOptions,
} from "../support/compared-servers.ts";
import { machineLine, median } from "../support/report.ts";
import { healthy, stop, usedBy } from "../support/served-process.ts";
import { promptsOf } from "../../src/client/measure/prompts.ts";
import { complete } from "../support/streamed-completion.ts";
import { shippedModelsDirectory } from "../../src/platform/package-paths.ts";

/*
 * Many streams at once whose prompts begin with the same long instructions: time to their first tokens and processor
 * time, for cortex, for an earlier checkout of it (`--before`, built) and for llama.cpp's own server. Servers are up one
 * after the other, and what a round's prompts begin with was never seen before.
 */

const { values } = parseArgs({
  options: {
    model: { type: "string", default: `${shippedModelsDirectory()}cortex-demo.gguf` },
    "llama-server": { type: "string" },
    before: { type: "string" },
    streams: { type: "string", default: "8" },
    words: { type: "string", default: "1500" },
    context: { type: "string", default: "3072" },
    rounds: { type: "string", default: "3" },
  },
});
const streams = Number(values.streams);
const options: ComparedOptions = {
  model: resolve(values.model),
  slots: streams,
  contextTokens: Number(values.context),
  llamaServer: values["llama-server"],
  defaultThreads: false,
  threads: 1,
  before: values.before,
};

interface Row {
  readonly firstMs: number;
  readonly lastMs: number;
  readonly cpuMs: number;
}

async function measure(compared: Compared): Promise<readonly Row[]> {
  const server = await compared.start();
  try {
    await healthy(server);
    if (compared.isCortex) await loadModel(server, options);
    await complete(server, "Hello there", 4);
    const rows: Row[] = [];
    for (let round = 0; round < Number(values.rounds); round++) {
      const [instructions = ""] = promptsOf(1, Number(values.words), round);
      const endings = promptsOf(streams, 12, round + 100);
      const before = usedBy(server.child.pid ?? 0);
      const answers = await Promise.all(
        endings.map((ending) => complete(server, `${instructions}\n${ending}`, 4)),
      );
      const times = answers.map((answer) => answer.firstTokenMs);
      rows.push({
        firstMs: median(times),
        lastMs: Math.max(...times),
        cpuMs: usedBy(server.child.pid ?? 0).cpuMs - before.cpuMs,
      });
    }
    return rows;
  } finally {
    await stop(server);
  }
}

const results: { readonly name: string; readonly rows: readonly Row[] }[] = [];
for (const compared of comparedServers(options)) {
  results.push({ name: compared.name, rows: await measure(compared) });
}
console.log(
  `${basename(options.model)}, ${streams} streams, ${values.words} words they all begin with; ${machineLine()}`,
);
console.log("                           first token ms, median of the streams   the last one   CPU ms");
for (const { name, rows } of results) {
  const of = (field: keyof Row, width: number): string =>
    median(rows.map((row) => row[field]))
      .toFixed(0)
      .padStart(width);
  console.log(`${name.padEnd(27)}${of("firstMs", 38)}${of("lastMs", 15)}${of("cpuMs", 9)}`);
}
