import { availableParallelism } from "node:os";
import { basename, resolve } from "node:path";
import { parseArgs } from "node:util";
import {
  comparedServers,
  loadModel,
  type Compared,
  type ComparedOptions,
} from "../support/compared-servers.ts";
import { machineLine, median } from "../support/report.ts";
import { healthy, stop, usedBy, type Served } from "../support/served-process.ts";
import { promptsOf } from "../../src/client/measure/prompts.ts";
import { complete } from "../support/streamed-completion.ts";
import { shippedModelsDirectory } from "../../src/platform/package-paths.ts";

/*
 * Tokens a second, time to the first token, CPU and memory of a neuron with one model, beside llama.cpp's own server
 * with the same file. All servers are up at once and take turns, so that a neighbour slows all of them. CPU time per
 * token is the figure that neighbours disturb least.
 */

const { values } = parseArgs({
  options: {
    model: { type: "string", default: `${shippedModelsDirectory()}cortex-demo.gguf` },
    "llama-server": { type: "string" },
    "default-threads": { type: "boolean", default: false },
    streams: { type: "string", default: "1,4,8" },
    words: { type: "string", default: "25" },
    tokens: { type: "string", default: "48" },
    rounds: { type: "string", default: "3" },
    context: { type: "string", default: "1024" },
  },
});
const list = (text: string): readonly number[] => text.split(",").map(Number);
const streamCounts = list(values.streams);
const options: ComparedOptions = {
  model: resolve(values.model),
  slots: Math.max(...streamCounts),
  contextTokens: Number(values.context),
  llamaServer: values["llama-server"],
  defaultThreads: values["default-threads"],
  threads: Math.max(1, availableParallelism() - 1),
};

interface Row {
  readonly server: string;
  readonly words: number;
  readonly streams: number;
  readonly tokensPerSecond: number;
  readonly firstTokenMs: number;
  readonly cpuMsPerToken: number;
  /** To the first token of a prompt that begins with the one before. */
  readonly secondTurnMs: number;
  readonly memoryMib: number;
  readonly largestMib: number;
}

/** What the second turn says; the answer of the first is not repeated, as nobody needs it to find the beginning. */
const SECOND_TURN = promptsOf(8, 8, 99);

async function measure(
  server: Served,
  cell: { readonly name: string; readonly words: number; readonly streams: number; readonly round: number },
): Promise<Row> {
  const { name, words, streams, round } = cell;
  const prompts = promptsOf(streams, words, round * 1000 + words);
  const before = usedBy(server.child.pid ?? 0);
  const startedMs = performance.now();
  const answers = await Promise.all(prompts.map((prompt) => complete(server, prompt, Number(values.tokens))));
  const tookMs = performance.now() - startedMs;
  const after = usedBy(server.child.pid ?? 0);
  const longer = prompts.map((prompt, at) => `${prompt} ${SECOND_TURN[at % SECOND_TURN.length] ?? ""}`);
  const seconds = await Promise.all(longer.map((prompt) => complete(server, prompt, 1)));
  const tokens = answers.reduce((sum, answer) => sum + answer.tokens, 0);
  return {
    server: name,
    words,
    streams,
    tokensPerSecond: tokens / (tookMs / 1000),
    firstTokenMs: median(answers.map((answer) => answer.firstTokenMs)),
    cpuMsPerToken: (after.cpuMs - before.cpuMs) / tokens,
    secondTurnMs: median(seconds.map((answer) => answer.firstTokenMs)),
    memoryMib: after.memoryMib,
    largestMib: after.largestMib,
  };
}

async function ready(compared: Compared): Promise<Served> {
  const server = await compared.start();
  await healthy(server);
  if (compared.isCortex) await loadModel(server, options);
  // Threads are chosen and pages touched before anything counts.
  for (const streams of streamCounts) {
    await Promise.all(promptsOf(streams, 20, 7).map((prompt) => complete(server, prompt, 16)));
  }
  return server;
}

const figure = (value: number, digits: number, width: number): string =>
  value.toFixed(digits).padStart(width);

function print(rows: readonly Row[]): void {
  console.log(`${basename(options.model)}, ${values.tokens} tokens an answer; ${machineLine()}`);
  console.log(
    "words streams server                     tokens/s  first token ms  2nd turn ms  CPU ms/token  memory MiB  of it the model's process",
  );
  for (const words of list(values.words)) {
    for (const streams of streamCounts) {
      for (const server of new Set(rows.map((row) => row.server))) {
        const mine = rows.filter(
          (row) => row.server === server && row.words === words && row.streams === streams,
        );
        const of = (field: Exclude<keyof Row, "server">): number => median(mine.map((row) => row[field]));
        const speed = figure(of("tokensPerSecond"), 1, 8) + figure(of("firstTokenMs"), 0, 16);
        const cost = figure(of("secondTurnMs"), 0, 13) + figure(of("cpuMsPerToken"), 2, 14);
        const memory = figure(of("memoryMib"), 0, 12) + figure(of("largestMib"), 0, 12);
        console.log(
          `${figure(words, 0, 5)} ${figure(streams, 0, 7)} ${server.padEnd(26)} ${speed}${cost}${memory}`,
        );
      }
    }
  }
}

const running: { readonly name: string; readonly server: Served }[] = [];
const rows: Row[] = [];
try {
  for (const compared of comparedServers(options)) {
    running.push({ name: compared.name, server: await ready(compared) });
  }
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const words of list(values.words)) {
      for (const streams of streamCounts) {
        const order = round % 2 === 0 ? running : running.toReversed();
        for (const { name, server } of order)
          rows.push(await measure(server, { name, words, streams, round }));
      }
    }
  }
  print(rows);
} finally {
  await Promise.all(running.map(({ server }) => stop(server)));
}
