import { randomUUID } from "node:crypto";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { z } from "zod";
import { shippedModelsDirectory } from "../../src/platform/package-paths.ts";
import { freePort } from "../../test/support/cortex-process.ts";
import { machineLine } from "../support/report.ts";
import { healthy, start, stop } from "../support/served-process.ts";
import { promptsOf } from "../../src/client/measure/prompts.ts";

/*
 * What keeping a conversation at one copy is worth: two neurons with a copy of the demo model each behind a gateway,
 * conversations of several turns side by side, and how many of their prompt tokens the copies had in their caches.
 * Without: every request names another session, so that its turns go anywhere. Build first (`npm run build`).
 *   node bench/affinity/run.ts [--conversations 6] [--turns 4] [--rounds 8]
 */

const { values } = parseArgs({
  options: {
    conversations: { type: "string", default: "6" },
    turns: { type: "string", default: "4" },
    rounds: { type: "string", default: "8" },
  },
});
const turns = Number(values.turns);
const MODEL = "cortex-demo";
const home = await mkdtemp(join(tmpdir(), "cortex-bench-affinity-"));
const cortex = [process.execPath, fileURLToPath(new URL("../../bin/run.js", import.meta.url))];

const answerSchema = z.object({
  choices: z.array(z.object({ message: z.object({ content: z.string().nullable() }) })),
  usage: z.object({
    prompt_tokens: z.number(),
    prompt_tokens_details: z.object({ cached_tokens: z.number() }).optional(),
  }),
});

interface Tokens {
  prompt: number;
  cached: number;
}

const share = ({ cached, prompt }: Tokens): number => cached / prompt;

function add(to: Tokens, more: Tokens): void {
  to.prompt += more.prompt;
  to.cached += more.cached;
}

/** One conversation, turn by turn; its own words come first, so that no other has the same beginning. */
async function converse(base: string, opening: string, keepsHome: boolean): Promise<Tokens> {
  const sum = { prompt: 0, cached: 0 };
  const messages: { readonly role: string; readonly content: string }[] = [];
  for (let turn = 0; turn < turns; turn += 1) {
    messages.push({ role: "user", content: turn === 0 ? opening : "and then? tell me more of it" });
    const response = await fetch(`${base}/v1/chat/completions`, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        ...(keepsHome ? {} : { "x-session-id": randomUUID() }),
      },
      body: JSON.stringify({ model: MODEL, messages, max_tokens: 24, temperature: 0 }),
    });
    if (response.status !== 200) throw new Error(`HTTP ${response.status}: ${await response.text()}`);
    const answer = answerSchema.parse(await response.json());
    sum.prompt += answer.usage.prompt_tokens;
    sum.cached += answer.usage.prompt_tokens_details?.cached_tokens ?? 0;
    messages.push({ role: "assistant", content: answer.choices[0]?.message.content ?? "" });
  }
  return sum;
}

async function round(base: string, seed: number, keepsHome: boolean): Promise<Tokens> {
  const openings = promptsOf(Number(values.conversations), 60, seed);
  const all = await Promise.all(openings.map((opening) => converse(base, opening, keepsHome)));
  return {
    prompt: all.reduce((sum, { prompt }) => sum + prompt, 0),
    cached: all.reduce((sum, { cached }) => sum + cached, 0),
  };
}

const [left, right, port, metrics] = await Promise.all([freePort(), freePort(), freePort(), freePort()]);
const fleet = join(home, "fleet");
await mkdir(fleet);
await writeFile(
  join(fleet, "fleet.toml"),
  `[fleet]\nname = "bench"\n\n[gateway]\nlisten = "127.0.0.1:${port}"\nmetrics_listen = "127.0.0.1:${metrics}"\n\n` +
    [left, right]
      .map((at, index) => `[[neurons]]\nname = "n${index}"\nendpoint = "http://127.0.0.1:${at}"\n\n`)
      .join("") +
    `[[models]]\nid = "${MODEL}"\nsource = "cortex-demo.gguf"\ncontext = 2048\nparallel = 4\n`,
);
const neurons = [left, right].map((at, index) =>
  start(
    `neuron ${index}`,
    [...cortex, "neuron", "--port", String(at), "--model-root", shippedModelsDirectory()],
    { port: at, env: { CORTEX_DATA_DIR: join(home, `n${index}`) } },
  ),
);
const gateway = start("gateway", [...cortex, "serve", "--config", fleet], {
  port,
  env: { CORTEX_DATA_DIR: join(home, "gateway") },
});

try {
  await Promise.all([...neurons, gateway].map(healthy));
  for (const { base } of neurons) {
    const response = await fetch(`${base}/models/load`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        model_id: MODEL,
        source: "cortex-demo.gguf",
        context: 2048,
        parallel: 4,
      }),
    });
    if (!response.ok) throw new Error(`${base}: HTTP ${response.status} ${await response.text()}`);
  }
  const served = z.object({ locations: z.array(z.object({ status: z.string() })) });
  for (;;) {
    const entry = served.parse(await (await fetch(`${gateway.base}/v1/models/${MODEL}`)).json());
    if (entry.locations.filter(({ status }) => status === "loaded").length === 2) break;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  console.log(machineLine());
  console.log(`${values.conversations} conversations of ${turns} turns side by side, two copies`);
  console.log("round  with affinity          without                of the prompts from the cache, ratio");
  const cell = (tokens: Tokens) =>
    `${tokens.cached} of ${tokens.prompt} (${Math.round(100 * share(tokens))} %)`.padEnd(22);
  const row = (name: string, kept: Tokens, spread: Tokens) => {
    const ratio = (share(kept) / share(spread)).toFixed(2);
    console.log(`${name.padEnd(6)} ${cell(kept)} ${cell(spread)} ${ratio}`);
  };
  const all = { kept: { prompt: 0, cached: 0 }, spread: { prompt: 0, cached: 0 } };
  for (let at = 0; at < Number(values.rounds); at += 1) {
    const kept = await round(gateway.base, 100 + at, true);
    const spread = await round(gateway.base, 200 + at, false);
    add(all.kept, kept);
    add(all.spread, spread);
    row(String(at + 1), kept, spread);
  }
  row("all", all.kept, all.spread);
} finally {
  await Promise.all([gateway, ...neurons].map(stop));
  await rm(home, { recursive: true, force: true });
}
