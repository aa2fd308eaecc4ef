import { basename, resolve } from "node:path";
import { parseArgs } from "node:util";
import { shippedModelsDirectory } from "../../src/platform/package-paths.ts";
import type { ChatCompletion } from "../../src/protocol/openai/chat.ts";
import { spawnWorker, type SpawnedWorker } from "../../test/support/neuron/spawned-worker.ts";
import { workerHttp, type WorkerHttp } from "../../test/support/neuron/worker-http.ts";
import { machineLine } from "../support/report.ts";
import { usedBy } from "../support/served-process.ts";
import { promptsOf } from "../../src/client/measure/prompts.ts";

/*
 * What side by side changes. First: the same four prompts at temperature 0, one after the other and all at once, with
 * one thread and with two: is it the same text, and how far apart are the probabilities of the tokens that are the
 * same? Second: CPU time per token of two answers in neighbouring slots, and in slots with an unused one between them.
 */

const { values } = parseArgs({
  options: {
    model: { type: "string", default: `${shippedModelsDirectory()}cortex-demo.gguf` },
    words: { type: "string", default: "40" },
    tokens: { type: "string", default: "64" },
    rounds: { type: "string", default: "5" },
    threads: { type: "string", default: "1,2" },
  },
});
const modelPath = resolve(values.model);
const maxTokens = Number(values.tokens);
const SLOTS = 4;
const prompts = promptsOf(SLOTS, Number(values.words), 11);

interface Answer {
  readonly text: string;
  readonly tokens: readonly { readonly token: string; readonly logprob: number }[];
  readonly cachedTokens: number;
}

async function ask(http: WorkerHttp, prompt: string, seed = 1): Promise<Answer> {
  const answer: ChatCompletion = await http.chat({
    messages: [{ role: "user", content: prompt }],
    temperature: 0,
    max_tokens: maxTokens,
    ignore_eos: true,
    logprobs: true,
    seed,
  });
  const [choice] = answer.choices;
  return {
    text: choice?.message.content ?? "",
    tokens: choice?.logprobs?.content ?? [],
    cachedTokens: answer.usage.prompt_tokens_details?.cached_tokens ?? 0,
  };
}

/** In a new worker, so that no slot has computed anything before. */
async function inWorker<Result>(
  threads: number,
  work: (http: WorkerHttp, worker: SpawnedWorker) => Promise<Result>,
): Promise<Result> {
  const worker = await spawnWorker(modelPath, { threads, parallel: SLOTS, context: 1024 });
  const http = workerHttp(worker.socketPath);
  try {
    return await work(http, worker);
  } finally {
    await http.close();
    await worker.stop();
  }
}

async function oneByOne(http: WorkerHttp): Promise<readonly Answer[]> {
  const answers: Answer[] = [];
  for (const prompt of prompts) answers.push(await ask(http, prompt));
  return answers;
}

const atOnce = (http: WorkerHttp): Promise<readonly Answer[]> =>
  Promise.all(prompts.map((prompt) => ask(http, prompt)));

function compare(name: string, left: readonly Answer[], right: readonly Answer[]): void {
  let same = 0;
  let furthest = 0;
  const parts: number[] = [];
  for (const [index, answer] of left.entries()) {
    const other = right[index]?.tokens ?? [];
    if (answer.text === right[index]?.text) same += 1;
    const differs = answer.tokens.findIndex(({ token }, at) => token !== other[at]?.token);
    if (differs >= 0) parts.push(differs);
    for (const [at, { logprob }] of answer.tokens.slice(0, differs < 0 ? undefined : differs).entries())
      furthest = Math.max(furthest, Math.abs(logprob - (other[at]?.logprob ?? Infinity)));
  }
  const where = parts.length === 0 ? "" : `; they part at token ${parts.join(", ")}`;
  console.log(
    `${name.padEnd(44)} ${same} of ${left.length} texts equal, logprobs ${furthest.toExponential(1)} apart${where}`,
  );
}

async function cpuPerToken(
  http: WorkerHttp,
  worker: SpawnedWorker,
  which: readonly number[],
): Promise<number> {
  const before = usedBy(worker.child.pid ?? 0).cpuMs;
  const answers = await Promise.all(which.map((index) => ask(http, prompts[index] ?? "")));
  const tokens = answers.reduce((sum, answer) => sum + answer.tokens.length, 0);
  if (answers.some((answer) => answer.cachedTokens < 10)) throw new Error("an answer left its slot");
  return (usedBy(worker.child.pid ?? 0).cpuMs - before) / tokens;
}

console.log(`${basename(modelPath)}, ${values.tokens} tokens an answer; ${machineLine()}`);
const [fewest = 1, ...more] = values.threads.split(",").map(Number);
const alone = await inWorker(fewest, oneByOne);
compare("alone, and four at once", alone, await inWorker(fewest, atOnce));
const again = await inWorker(fewest, async (http) => {
  await oneByOne(http);
  return oneByOne(http);
});
compare("alone, prompt computed, and from the cache", alone, again);
for (const threads of more) {
  const aloneMore = await inWorker(threads, oneByOne);
  compare(`alone, ${fewest} thread(s), and ${threads}`, alone, aloneMore);
  compare(`${threads} threads, alone, and four at once`, aloneMore, await inWorker(threads, atOnce));
}

await inWorker(fewest, async (http, worker) => {
  // Each prompt has its slot from here on, in order.
  await atOnce(http);
  const costs = { neighbours: [] as number[], apart: [] as number[] };
  for (let round = 0; round < Number(values.rounds); round++) {
    costs.neighbours.push(await cpuPerToken(http, worker, [0, 1]));
    costs.apart.push(await cpuPerToken(http, worker, [0, 2]));
  }
  for (const [name, figures] of Object.entries(costs)) {
    const [least] = figures.toSorted((a, b) => a - b);
    console.log(
      `two of ${SLOTS} slots, ${name.padEnd(12)} ${least?.toFixed(2) ?? "?"} ms of CPU per token, least of ${figures.length}`,
    );
  }
});
