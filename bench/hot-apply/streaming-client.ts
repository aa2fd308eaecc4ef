import { createParser } from "eventsource-parser";

/** What the clients saw between two moments. */
export interface Watched {
  readonly answers: number;
  readonly tokens: number;
  /** In words, one for each request that did not come to its end. */
  readonly failures: readonly string[];
  /** Between two tokens of one answer. */
  readonly gapsMs: readonly number[];
  readonly firstTokenMs: readonly number[];
}

interface Chunk {
  readonly choices?: readonly {
    readonly delta?: { readonly content?: string };
    readonly finish_reason?: string | null;
  }[];
  readonly error?: { readonly message?: string };
}

/** Clients that ask one streamed question after another, and never try again: a failure is a failure. */
export class StreamingClients {
  readonly #url: string;
  readonly #maxTokens: number;
  readonly #running: Promise<void>[] = [];
  #isOver = false;
  #seen = fresh();

  constructor(url: string, maxTokens: number) {
    this.#url = url;
    this.#maxTokens = maxTokens;
  }

  start(count: number, models: readonly string[]): void {
    for (let client = 0; client < count; client += 1)
      this.#running.push(this.#askOn(client, models[client % models.length] ?? ""));
  }

  /** What was seen since the last time. */
  take(): Watched {
    const seen = this.#seen;
    this.#seen = fresh();
    return seen;
  }

  /** Resolves when the last answer has come. */
  async stop(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#running);
  }

  async #askOn(client: number, model: string): Promise<void> {
    for (let turn = 0; !this.#isOver; turn += 1) {
      const failure = await this.#ask(model, `client ${client}, turn ${turn}: tell me a story`).catch(String);
      if (failure === undefined) this.#seen.answers += 1;
      else this.#seen.failures.push(`${model}: ${failure}`);
    }
  }

  /** Why the answer is not whole; undefined when it is. */
  async #ask(model: string, content: string): Promise<string | undefined> {
    const askedMs = performance.now();
    const answer = await fetch(`${this.#url}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        model,
        messages: [{ role: "user", content }],
        max_tokens: this.#maxTokens,
        stream: true,
      }),
    });
    if (!answer.ok || answer.body === null) return `${answer.status}: ${await answer.text()}`;
    const told = {
      lastMs: undefined as number | undefined,
      finish: null as string | null,
      done: false,
      error: "",
    };
    const parser = createParser({
      onEvent: ({ data }) => {
        if (data === "[DONE]") {
          told.done = true;
          return;
        }
        const chunk = JSON.parse(data) as Chunk;
        if (chunk.error !== undefined) told.error = data;
        const [choice] = chunk.choices ?? [];
        told.finish = choice?.finish_reason ?? told.finish;
        if ((choice?.delta?.content ?? "") === "") return;
        const nowMs = performance.now();
        if (told.lastMs === undefined) this.#seen.firstTokenMs.push(nowMs - askedMs);
        else this.#seen.gapsMs.push(nowMs - told.lastMs);
        told.lastMs = nowMs;
        this.#seen.tokens += 1;
      },
    });
    const decoder = new TextDecoder();
    const body: AsyncIterable<Uint8Array> = answer.body;
    for await (const bytes of body) parser.feed(decoder.decode(bytes, { stream: true }));
    if (told.error !== "") return told.error;
    return told.done && told.finish !== null ? undefined : "the stream ended without an end";
  }
}

const fresh = () => ({
  answers: 0,
  tokens: 0,
  failures: [] as string[],
  gapsMs: [] as number[],
  firstTokenMs: [] as number[],
});
