import { createParser } from "eventsource-parser";
import { request } from "undici";
import type { Clock } from "../../../core/clock.ts";
import { CortexError } from "../../../core/errors.ts";
import { isRecord, parseJson } from "../../../core/json.ts";
import { fromErrorResponse } from "../../../protocol/error-envelope.ts";
import { bearer } from "../../../protocol/headers/bearer.ts";
import type { MeasuredAnswer } from "../measured-load.ts";

export interface StreamedQuestion {
  readonly baseUrl: string;
  readonly path: "/v1/chat/completions" | "/v1/completions";
  readonly apiKey: string | undefined;
  /** Without `stream`, which it always is. */
  readonly body: Readonly<Record<string, unknown>>;
  readonly clock: Clock;
  /** When it was due: where requests are sent late, the wait counts. Default: now. */
  readonly dueMs?: number;
  readonly signal?: AbortSignal;
}

/** One streamed answer, from the question to its last byte. Throws the endpoint's own error, and for an answer that breaks off. */
export async function measureAnswer(question: StreamedQuestion): Promise<MeasuredAnswer> {
  const { clock, dueMs = clock.monotonicMs() } = question;
  const body = await sent(question);
  const course = new AnswerCourse(() => clock.monotonicMs() - dueMs);
  const parser = createParser({ onEvent: ({ data }) => course.take(data) });
  const decoder = new TextDecoder();
  for await (const bytes of body) parser.feed(decoder.decode(bytes as Uint8Array, { stream: true }));
  return course.end();
}

async function sent({
  baseUrl,
  path,
  apiKey,
  body,
  signal,
}: StreamedQuestion): Promise<AsyncIterable<unknown>> {
  const asked = { ...body, stream: true, stream_options: { include_usage: true } };
  const response = await request(baseUrl + path, {
    method: "POST",
    headers: { "content-type": "application/json", ...bearer(apiKey) },
    body: JSON.stringify(asked),
    headersTimeout: 0,
    bodyTimeout: 0,
    ...(signal === undefined ? {} : { signal }),
  }).catch((thrown: unknown) => {
    if (signal?.aborted === true) throw thrown;
    throw new CortexError("upstream_connection_error", `${baseUrl} does not answer`, { cause: thrown });
  });
  if (response.statusCode === 200) return response.body;
  const text = await response.body.text();
  throw fromErrorResponse(response.statusCode, parseJson(text), "upstream_connection_error");
}

/** What came of an answer so far, and when. */
class AnswerCourse {
  readonly #sinceMs: () => number;
  readonly #gapsMs: number[] = [];
  #firstMs: number | null = null;
  #lastMs = 0;
  #texts = 0;
  #promptTokens = 0;
  #completionTokens = 0;
  #isDone = false;

  constructor(sinceMs: () => number) {
    this.#sinceMs = sinceMs;
  }

  take(data: string): void {
    if (data === "[DONE]") {
      this.#isDone = true;
      return;
    }
    const chunk = parseJson(data);
    if (!isRecord(chunk)) return;
    if (chunk["error"] !== undefined) throw fromErrorResponse(200, chunk, "upstream_cut_stream");
    if (hasText(chunk)) this.#note(this.#sinceMs());
    this.#count(chunk["usage"]);
  }

  #note(atMs: number): void {
    if (this.#firstMs === null) this.#firstMs = atMs;
    else this.#gapsMs.push(atMs - this.#lastMs);
    this.#lastMs = atMs;
    this.#texts += 1;
  }

  #count(usage: unknown): void {
    if (!isRecord(usage)) return;
    const { prompt_tokens: prompt, completion_tokens: completion } = usage;
    if (typeof prompt === "number") this.#promptTokens = prompt;
    if (typeof completion === "number") this.#completionTokens = completion;
  }

  /** A server that counts no tokens is given one for each text that it sent. */
  end(): MeasuredAnswer {
    if (!this.#isDone)
      throw new CortexError("upstream_cut_stream", "the answer broke off: its stream has no end");
    const totalMs = this.#sinceMs();
    return {
      firstTokenMs: this.#firstMs ?? totalMs,
      totalMs,
      gapsMs: this.#gapsMs,
      promptTokens: this.#promptTokens,
      completionTokens: this.#completionTokens === 0 ? this.#texts : this.#completionTokens,
    };
  }
}

/** Of a chat, its reasoning too, or of a completion. */
function hasText({ choices }: Readonly<Record<string, unknown>>): boolean {
  const choice: unknown = Array.isArray(choices) ? (choices as readonly unknown[])[0] : undefined;
  if (!isRecord(choice)) return false;
  const delta = isRecord(choice["delta"]) ? choice["delta"] : {};
  return [choice["text"], delta["content"], delta["reasoning_content"]].some(
    (text) => typeof text === "string" && text !== "",
  );
}
