import { isRecord, parseJson } from "../../core/json.ts";
import type { TokenUsage } from "../../protocol/headers/usage-header.ts";

/** An event longer than this is passed on unread: no usage is as long. */
const LONGEST_EVENT_BYTES = 1024 * 1024;
const NOTHING = Buffer.alloc(0);
const USAGE_WORD = Buffer.from('"usage"');

/** `usage` of an answer of OpenAI's shape; undefined where there is none. */
export function usageOf(answer: unknown): TokenUsage | undefined {
  const usage = isRecord(answer) ? answer["usage"] : undefined;
  if (!isRecord(usage)) return undefined;
  const prompt = count(usage["prompt_tokens"]);
  // Embeddings and rankings have a prompt alone, and some engines say its size in the total.
  const total = count(usage["total_tokens"]);
  const completion = count(usage["completion_tokens"]) ?? 0;
  if (prompt === undefined && total === undefined) return undefined;
  return {
    promptTokens: prompt ?? Math.max(0, (total ?? 0) - completion),
    completionTokens: completion,
    cachedTokens: detail(usage["prompt_tokens_details"], "cached_tokens"),
    reasoningTokens: detail(usage["completion_tokens_details"], "reasoning_tokens"),
  };
}

const count = (value: unknown): number | undefined =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : undefined;

const detail = (details: unknown, name: string): number =>
  (isRecord(details) ? count(details[name]) : undefined) ?? 0;

/**
 * Reads the usage out of an event stream that passes by. Events pass untouched and whole; only one that says the usage
 * alone, and that the client did not ask for, is kept back.
 */
export class UsageWatch {
  readonly #keepsBack: boolean;
  #held: Buffer = NOTHING;
  #insideLongEvent = false;
  /** The latest: some engines say it in every event. */
  usage: TokenUsage | undefined;

  constructor({ keepsBack }: { readonly keepsBack: boolean }) {
    this.#keepsBack = keepsBack;
  }

  /** What may be passed on now. */
  push(chunk: Buffer): Buffer {
    const bytes = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    const passed: Buffer[] = [];
    let start = 0;
    for (let end = endOfEvent(bytes, start); end !== -1; end = endOfEvent(bytes, start)) {
      const event = bytes.subarray(start, end);
      if (this.#insideLongEvent || this.#passes(event)) passed.push(event);
      this.#insideLongEvent = false;
      start = end;
    }
    this.#held = bytes.subarray(start);
    if (this.#held.length > LONGEST_EVENT_BYTES || this.#insideLongEvent) {
      this.#insideLongEvent = true;
      passed.push(this.#held);
      this.#held = NOTHING;
    }
    return passed.length === 1 ? (passed[0] ?? NOTHING) : Buffer.concat(passed);
  }

  /** What is left at the end of the stream. */
  rest(): Buffer {
    const rest = this.#held;
    this.#held = NOTHING;
    return rest;
  }

  #passes(event: Buffer): boolean {
    if (!event.includes(USAGE_WORD)) return true;
    const data = /(?:^|[\r\n])data: ?([^\r\n]*)/.exec(event.toString("utf8"))?.[1];
    const answer = data === undefined ? undefined : parseJson(data);
    const usage = usageOf(answer);
    if (usage === undefined) return true;
    this.usage = usage;
    const choices = isRecord(answer) ? answer["choices"] : undefined;
    return !(this.#keepsBack && Array.isArray(choices) && choices.length === 0);
  }
}

const BLANK_LINES = ["\n\n", "\r\n\r\n", "\r\r"] as const;

/** The position after the blank line that ends the event; -1 while it has not come. Lines end in LF, CRLF or CR alone. */
function endOfEvent(bytes: Buffer, from: number): number {
  let end = -1;
  for (const blank of BLANK_LINES) {
    const at = bytes.indexOf(blank, from);
    if (at !== -1 && (end === -1 || at + blank.length < end)) end = at + blank.length;
  }
  return end;
}
