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
import { cellTable, FIGURES, type Figure, type MeasuredCell } from "./cells.ts";
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
    /** Of both sides. Without it cortex chooses, and llama-server leaves one core. */
    threads: { type: "string" },
    /** Beside it also cortex as it chooses. */
    chosen: { type: "boolean", default: false },
    /** Another built checkout of cortex, which takes turns too. */
    before: { type: "string" },
    /** The medians as JSON (`MeasuredCell`) and nothing else. */
    json: { type: "boolean", default: false },
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
  before: values.before,
  defaultThreads: values["default-threads"],
  threads: Number(values.threads ?? Math.max(1, availableParallelism() - 1)),
  cortexThreads: values.threads === undefined ? "chosen" : values.chosen ? "both" : "same",
};

/** What the second turn says; the answer of the first is not repeated, as nobody needs it to find the beginning. */
const SECOND_TURN = promptsOf(8, 8, 99);

async function measure(
  server: Served,
  cell: { readonly name: string; readonly words: number; readonly streams: number; readonly round: number },
): Promise<MeasuredCell> {
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
    decodePerSecond: answers.reduce((sum, answer) => sum + answer.tokensPerSecond, 0),
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
  if (compared.isCortex) await loadModel(server, options, compared.loadThreads);
  // Threads are chosen and pages touched before anything counts.
  for (const streams of streamCounts) {
    await Promise.all(promptsOf(streams, 20, 7).map((prompt) => complete(server, prompt, 16)));
  }
  return server;
}

/** The middle of all rounds, cell by cell. */
function medians(rows: readonly MeasuredCell[]): readonly MeasuredCell[] {
  return list(values.words).flatMap((words) =>
    streamCounts.flatMap((streams) =>
      [...new Set(rows.map((row) => row.server))].map((server) => {
        const mine = rows.filter(
          (row) => row.server === server && row.words === words && row.streams === streams,
        );
        const of = (field: Figure): number => median(mine.map((row) => row[field]));
        const figures = Object.fromEntries(FIGURES.map((field) => [field, of(field)]));
        return { server, words, streams, ...figures } as MeasuredCell;
      }),
    ),
  );
}

const running: { readonly name: string; readonly server: Served }[] = [];
const rows: MeasuredCell[] = [];
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
  const cells = medians(rows);
  console.log(
    values.json
      ? JSON.stringify(cells)
      : [
          `${basename(options.model)}, ${values.tokens} tokens an answer; ${machineLine()}`,
          ...cellTable(cells),
        ].join("\n"),
  );
} finally {
  await Promise.all(running.map(({ server }) => stop(server)));
}
