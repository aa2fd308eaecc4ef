import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { basename, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { promptsOf, randomFrom } from "../../src/client/measure/prompts.ts";
import { comparedServers, loadModel, MODEL, type ComparedOptions } from "../support/compared-servers.ts";
import { machineLine, median } from "../support/report.ts";
import { healthy, stop, type Served } from "../support/served-process.ts";
import type { BareQuestion } from "./bare-answers.ts";

/*
 * Milliseconds between the tokens of one stream, as its client sees them: a neuron, llama.cpp's own server, and the bare binding
 * without worker, neuron and HTTP. What lies between the first and the last is what this project adds to it; what lies between
 * the last two is the binding's.
 */

const { values } = parseArgs({
  options: {
    model: { type: "string" },
    "llama-server": { type: "string" },
    before: { type: "string" },
    threads: { type: "string", default: "1" },
    tokens: { type: "string", default: "32" },
    rounds: { type: "string", default: "12" },
  },
});

const PROMPT_WORDS = 32;
const SLOTS = 8;
const CONTEXT_TOKENS = 512;
/** Ids that are text in every vocabulary. */
const BARE_TOKENS = { from: 300, to: 4000 };
/** Rounds until caches and threads have settled. */
const IDLE_ROUNDS = 2;

const model = resolve(values.model ?? "");
const tokens = Number(values.tokens);
const options: ComparedOptions = {
  model,
  slots: SLOTS,
  contextTokens: CONTEXT_TOKENS,
  llamaServer: values["llama-server"],
  before: values.before,
  defaultThreads: false,
  threads: Number(values.threads),
  cortexThreads: "same",
};

type Answer = (round: number) => Promise<readonly number[]>;

interface Writer {
  readonly name: string;
  readonly answer: Answer;
  readonly close: () => Promise<unknown> | undefined;
}

/** Gaps between the events of a streamed answer. */
async function streamed({ base }: Served, round: number): Promise<readonly number[]> {
  const [prompt] = promptsOf(1, PROMPT_WORDS, round);
  const answer = await fetch(`${base}/v1/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      model: MODEL,
      prompt,
      max_tokens: tokens,
      temperature: 0,
      ignore_eos: true,
      stream: true,
    }),
  });
  const at: number[] = [];
  for await (const chunk of (answer.body ?? []) as AsyncIterable<Uint8Array>) {
    const events = new TextDecoder().decode(chunk).split("data: ").length - 1;
    for (let event = 0; event < events; event += 1) at.push(performance.now());
  }
  // Behind the tokens come the end, the usage and the mark of the end.
  return at.slice(1, tokens).map((ms, index) => ms - (at[index] ?? 0));
}

async function servers(): Promise<readonly Writer[]> {
  const writers: Writer[] = [];
  for (const compared of comparedServers(options)) {
    const served = await compared.start();
    await healthy(served);
    if (compared.isCortex) await loadModel(served, options, compared.loadThreads);
    writers.push({
      name: compared.name,
      answer: (round) => streamed(served, round),
      close: () => stop(served),
    });
  }
  return writers;
}

async function bareBinding(): Promise<Writer> {
  const program = fileURLToPath(new URL("bare-answers.ts", import.meta.url));
  const child: ChildProcess = fork(program, [model, values.threads, String(SLOTS), String(CONTEXT_TOKENS)]);
  await once(child, "message");
  const answer: Answer = async (round) => {
    const random = randomFrom(round);
    const { from, to } = BARE_TOKENS;
    const prompt = Array.from({ length: PROMPT_WORDS }, () => from + Math.floor(random() * (to - from)));
    child.send({ prompt, tokens } satisfies BareQuestion);
    const [gaps] = (await once(child, "message")) as [readonly number[]];
    return gaps;
  };
  const close = (): undefined => {
    child.kill();
  };
  return { name: "the bare binding", answer, close };
}

const writers = [...(await servers()), await bareBinding()];
const gapsOf = new Map<Writer, number[]>(writers.map((writer) => [writer, []]));
for (let round = 0; round < Number(values.rounds) + IDLE_ROUNDS; round += 1) {
  for (const writer of writers) {
    const gaps = await writer.answer(round);
    if (round >= IDLE_ROUNDS) gapsOf.get(writer)?.push(...gaps);
  }
}
console.log(`${basename(model)}, ${tokens} tokens of one stream; ${machineLine()}`);
console.log(`${"".padEnd(34)}${"ms between tokens".padStart(18)}${"of the bare binding's".padStart(24)}`);
const bare = median(gapsOf.get(writers.at(-1) as Writer) ?? []);
for (const [{ name }, gaps] of gapsOf) {
  const ms = median(gaps);
  console.log(`${name.padEnd(34)}${ms.toFixed(2).padStart(18)}${(ms / bare).toFixed(2).padStart(24)}`);
}
for (const { close } of writers) await close();
