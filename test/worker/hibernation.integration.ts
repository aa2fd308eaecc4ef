import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { ChatCompletion } from "../../src/protocol/openai/chat.ts";
import type { WorkerStart } from "../../src/protocol/worker-messages.ts";
import { spawnWorker } from "../support/neuron/spawned-worker.ts";
import { tinyModelFile } from "../support/neuron/tiny-model.ts";
import { workerHttp } from "../support/neuron/worker-http.ts";

interface Message {
  readonly role: string;
  readonly content: string;
}

const opening: readonly Message[] = [
  { role: "system", content: "You are brief and exact in all that you say, always and everywhere." },
  { role: "user", content: `tell me of ${"this and that ".repeat(20)}` },
];
const next: Message = { role: "user", content: "and then?" };

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "cortex-hibernation-"));
});
afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

/** Asks one worker, which lives as long as the questions last. */
async function withWorker<Result>(
  run: (ask: (messages: readonly Message[]) => Promise<ChatCompletion>) => Promise<Result>,
  overrides: Partial<WorkerStart> = {},
): Promise<Result> {
  const hibernation = { directory, most_bytes: 1e9, least_recompute_ms: 0 };
  const worker = await spawnWorker(await tinyModelFile(), { hibernation, parallel: 2, ...overrides });
  const http = workerHttp(worker.socketPath);
  try {
    return await run((messages) => http.chat({ messages, max_tokens: 8, temperature: 0 }));
  } finally {
    await http.close();
    await worker.stop();
  }
}

const reply = (answer: ChatCompletion): Message => ({
  role: "assistant",
  content: answer.choices[0]?.message.content ?? "",
});
const textOf = (answer: ChatCompletion) => answer.choices[0]?.message.content;
const cachedOf = (answer: ChatCompletion): number => answer.usage.prompt_tokens_details?.cached_tokens ?? -1;
const files = async (ending: string): Promise<readonly string[]> =>
  (await readdir(directory, { recursive: true })).filter((name) => name.endsWith(ending));

/** The conversation begun in a first worker, and how a second one, with nothing kept, goes on. */
async function begin(overrides: Partial<WorkerStart> = {}) {
  const first = await withWorker((ask) => ask(opening), overrides);
  const longer = [...opening, reply(first), next];
  const computed = await withWorker((ask) => ask(longer), { hibernation: undefined });
  expect(cachedOf(computed)).toBe(0);
  return { first, longer, computed };
}

const flipped = (bytes: Buffer): Buffer => {
  const changed = Buffer.from(bytes);
  const middle = bytes.length >> 1;
  changed.writeUInt8(changed.readUInt8(middle) ^ 1, middle);
  return changed;
};
const SPOILS = [(bytes: Buffer) => bytes.subarray(0, bytes.length / 2), () => Buffer.alloc(0), flipped];

describe("a conversation whose worker ended", () => {
  test("goes on where it was, with the same words", async () => {
    const { first, longer, computed } = await begin();
    const continued = await withWorker((ask) => ask(longer));
    expect(textOf(continued)).toBe(textOf(computed));
    expect(cachedOf(continued)).toBeGreaterThanOrEqual(first.usage.prompt_tokens);
    expect(continued.timings?.prompt_n).toBe(continued.usage.prompt_tokens - cachedOf(continued));
    // The longer state took the place of the one that it continues.
    expect(await files(".state")).toHaveLength(1);
    expect(await files(".json")).toHaveLength(1);
    expect(await files(".partial")).toEqual([]);
    for (const name of [...(await files(".state")), ...(await files(".json"))]) {
      expect((await stat(join(directory, name))).mode & 0o777).toBe(0o600);
    }
    // What is kept already is not written again.
    const before = await files(".state");
    await withWorker((ask) => ask(longer));
    expect(await files(".state")).toEqual(before);
  });

  test("is computed anew when its file is not as it was, and the file goes", async () => {
    const { longer, computed } = await begin();
    const kept = await Promise.all(
      [...(await files(".state")), ...(await files(".json"))].map(async (name) => {
        const path = join(directory, name);
        return { path, bytes: await readFile(path) };
      }),
    );
    for (const spoil of SPOILS) {
      for (const { path, bytes } of kept) {
        await writeFile(path, path.endsWith(".state") ? spoil(bytes) : bytes);
      }
      const { continued, left } = await withWorker(async (ask) => ({
        continued: await ask(longer),
        left: await files(".state"),
      }));
      expect(textOf(continued)).toBe(textOf(computed));
      expect(cachedOf(continued)).toBe(0);
      expect(left).toEqual([]);
      for (const name of [...(await files(".state")), ...(await files(".json"))])
        await rm(join(directory, name));
    }
  });

  test("is not taken up by a model in other settings, nor by a prompt that begins in another way", async () => {
    const { longer } = await begin();
    expect(cachedOf(await withWorker((ask) => ask(longer), { context: 900 }))).toBe(0);
    const other = [{ role: "system", content: "Be long." }, ...longer.slice(1)];
    expect(cachedOf(await withWorker((ask) => ask(other)))).toBe(0);
  });

  test("is not kept where it costs less to compute it, nor where there is no room", async () => {
    const hibernation = { directory, most_bytes: 1e9, least_recompute_ms: 60_000 };
    await withWorker((ask) => ask(opening), { hibernation });
    expect(await files(".state")).toEqual([]);
    await withWorker((ask) => ask(opening), {
      hibernation: { ...hibernation, most_bytes: 1000, least_recompute_ms: 0 },
    });
    expect(await files(".state")).toEqual([]);
    expect(await files(".partial")).toEqual([]);
  });
});
