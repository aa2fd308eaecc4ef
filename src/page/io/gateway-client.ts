import { createParser } from "eventsource-parser";
import { isRecord } from "../../core/json.ts";
import type { FleetStateEvent, ModelEntry, UsageReport } from "../../protocol/gateway-api.ts";
import { problemText } from "../chat-answer.ts";

/** Why the gateway did not answer as asked. `status` 0: it did not answer at all. */
export class GatewayProblem extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.name = "GatewayProblem";
    this.status = status;
  }
}

/** Silence for longer is a broken connection: a comment comes each second. */
const SILENT_MS = 6000;

export interface StreamReader {
  readonly onData: (data: unknown) => void;
  readonly onComment: (comment: string) => void;
}

export interface ChatQuestion {
  readonly model: string;
  readonly messages: readonly { readonly role: string; readonly content: string }[];
  readonly maxTokens: number | null;
}

/** The gateway that served this page, asked with one key or none. */
export class GatewayClient {
  readonly #base: URL;
  readonly #key: string;

  constructor(base: URL, key: string) {
    this.#base = base;
    this.#key = key;
  }

  async usage(sinceMs: number): Promise<UsageReport> {
    return this.#read<UsageReport>(`usage?since_ms=${Math.floor(sinceMs)}`);
  }

  async models(): Promise<readonly ModelEntry[]> {
    const list = await this.#read<{ readonly data: readonly ModelEntry[] }>("v1/models");
    return list.data;
  }

  /** Ends with the stream, or throws; never returns while events may come. */
  async followFleet(onEvent: (event: FleetStateEvent) => void, signal: AbortSignal): Promise<void> {
    const silence = new AbortController();
    const ring = () =>
      setTimeout(() => {
        silence.abort(new GatewayProblem(0, "the gateway has fallen silent"));
      }, SILENT_MS);
    let alarm = ring();
    const heard = () => {
      clearTimeout(alarm);
      alarm = ring();
    };
    try {
      const response = await this.#ask("fleet/events", { signal: AbortSignal.any([signal, silence.signal]) });
      await readStream(response, {
        onData: (data) => {
          heard();
          onEvent(data as FleetStateEvent);
        },
        onComment: heard,
      });
    } finally {
      clearTimeout(alarm);
    }
  }

  /** Streams the answer; returns who answered. */
  async chat(question: ChatQuestion, reader: StreamReader, signal: AbortSignal): Promise<string> {
    const { model, messages, maxTokens } = question;
    const body = {
      model,
      messages,
      stream: true,
      stream_options: { include_usage: true },
      ...(maxTokens === null ? {} : { max_tokens: maxTokens }),
    };
    const response = await this.#ask("v1/chat/completions", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
      signal,
    });
    await readStream(response, reader);
    return response.headers.get("x-cortex-neuron") ?? "";
  }

  async #read<Answer>(path: string): Promise<Answer> {
    const response = await this.#ask(path, {});
    return (await response.json()) as Answer;
  }

  async #ask(path: string, init: RequestInit): Promise<Response> {
    const headers = new Headers(init.headers);
    if (this.#key !== "") headers.set("authorization", `Bearer ${this.#key}`);
    let response: Response;
    try {
      response = await fetch(new URL(path, this.#base), { ...init, headers, cache: "no-store" });
    } catch (thrown) {
      if (init.signal?.aborted === true) throw init.signal.reason;
      throw new GatewayProblem(0, `the gateway cannot be reached (${String(thrown)})`);
    }
    if (response.ok) return response;
    throw new GatewayProblem(response.status, problemText(await response.json().catch(() => undefined)));
  }
}

/** A browser says "network error" of a stream that ends before its end; one that was stopped here is told as such. */
function brokenOff(thrown: unknown): never {
  if (thrown instanceof DOMException || thrown instanceof GatewayProblem) throw thrown;
  const why = thrown instanceof Error ? thrown.message : String(thrown);
  throw new GatewayProblem(0, `the answer broke off (${why}): what stands here is not all of it`);
}

/** Events of a stream until its end; `[DONE]` and what is no JSON object is passed over. */
async function readStream(response: Response, reader: StreamReader): Promise<void> {
  const parser = createParser({
    onEvent: ({ data }) => {
      if (data === "[DONE]") return;
      const parsed = JSON.parse(data) as unknown;
      if (isRecord(parsed)) reader.onData(parsed);
    },
    onComment: reader.onComment,
  });
  const body = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  if (body === undefined) return;
  for (;;) {
    const { done, value } = await body.read().catch(brokenOff);
    if (done) return;
    parser.feed(value);
  }
}
