import { createParser } from "eventsource-parser";
import { MODEL } from "./compared-servers.ts";
import type { Served } from "./served-process.ts";

export interface Completed {
  readonly tokens: number;
  readonly firstTokenMs: number;
}

interface Chunk {
  readonly choices?: readonly { readonly text?: string }[];
  readonly usage?: { readonly completion_tokens: number } | null;
  readonly error?: unknown;
}

/** One streamed completion at temperature 0. */
export async function complete({ base }: Served, prompt: string, maxTokens: number): Promise<Completed> {
  const startedMs = performance.now();
  const answer = await fetch(`${base}/v1/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      model: MODEL,
      prompt,
      max_tokens: maxTokens,
      temperature: 0,
      ignore_eos: true,
      stream: true,
      stream_options: { include_usage: true },
    }),
  });
  if (!answer.ok || answer.body === null) throw new Error(`${answer.status}: ${await answer.text()}`);
  let firstTokenMs: number | undefined;
  let tokens = 0;
  for await (const chunk of chunksOf(answer.body)) {
    if ((chunk.choices?.[0]?.text ?? "") !== "") firstTokenMs ??= performance.now() - startedMs;
    tokens = chunk.usage?.completion_tokens ?? tokens;
  }
  return { tokens, firstTokenMs: firstTokenMs ?? performance.now() - startedMs };
}

async function* chunksOf(body: AsyncIterable<Uint8Array>): AsyncGenerator<Chunk> {
  const events: string[] = [];
  const parser = createParser({ onEvent: ({ data }) => events.push(data) });
  const decoder = new TextDecoder();
  for await (const bytes of body) {
    parser.feed(decoder.decode(bytes, { stream: true }));
    for (const data of events.splice(0)) {
      if (data === "[DONE]") continue;
      const chunk = JSON.parse(data) as Chunk;
      if (chunk.error !== undefined) throw new Error(data);
      yield chunk;
    }
  }
}

const WORDS =
  "time year people way day man thing woman life child world school state family student group country problem hand part place case week company system program question work government number night point home water room mother area money story fact month lot right study book eye job word business issue side kind head house service friend father power hour game line end member law car city".split(
    " ",
  );

/** Prompts of `words` words that differ from the first word on, so that no cache helps; the same in every run. */
export function promptsOf(count: number, words: number, seed: number): readonly string[] {
  let state = seed + 1;
  const word = (): string => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return WORDS[Math.floor((state / 2 ** 31) * WORDS.length)] ?? "";
  };
  return Array.from({ length: count }, () => Array.from({ length: words }, word).join(" "));
}
