import { createParser } from "eventsource-parser";
import { request } from "undici";

/** What a client saw of one request. */
export interface SeenAnswer {
  readonly streamed: boolean;
  /** Everything that was asked for has come, and its end was said. */
  readonly outcome: "complete" | "told" | "silent" | "half";
  /** Of an answer that is not complete. */
  readonly code: string | null;
  /** Something of an answer had come before it failed. */
  readonly begun: boolean;
  readonly tokens: number;
}

export const TOKENS = 24;

const bodyOf = (model: string, nonce: string, streamed: boolean): string =>
  JSON.stringify({
    model,
    messages: [{ role: "user", content: `go on ${nonce}` }],
    max_tokens: TOKENS,
    ...(streamed ? { stream: true } : {}),
  });

interface Asked {
  readonly url: string;
  readonly model: string;
  /** Makes each request another one. */
  readonly nonce: string;
  readonly streamed: boolean;
  readonly apiKey?: string;
}

/**
 * Asks once, without trying again, and judges as a client would. `told`: it knows that it has no whole answer, and
 * why. `silent`: the connection broke without a word. `half`: what it has looks whole and is not.
 */
export async function askAndJudge({ url, model, nonce, streamed, apiKey }: Asked): Promise<SeenAnswer> {
  const seen = { tokens: 0, done: false, code: null as string | null };
  const parser = createParser({
    onEvent: ({ data }) => {
      readEvent(data, seen);
    },
  });
  let whole = "";
  let status = 0;
  let broke = false;
  try {
    const response = await request(`${url}/v1/chat/completions`, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        ...(apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` }),
      },
      body: bodyOf(model, nonce, streamed),
      headersTimeout: 120_000,
      bodyTimeout: 120_000,
    });
    status = response.statusCode;
    const isStream = String(response.headers["content-type"]).startsWith("text/event-stream");
    for await (const bytes of response.body) {
      if (isStream) parser.feed(String(bytes));
      else whole += String(bytes);
    }
  } catch {
    broke = true;
  }
  if (whole !== "" && !broke) readWhole(whole, seen);
  return judge(seen, { streamed, broke, isGood: status === 200 });
}

function judge(
  { tokens, code, done }: Seen,
  how: { readonly streamed: boolean; readonly broke: boolean; readonly isGood: boolean },
): SeenAnswer {
  const judged = { streamed: how.streamed, begun: tokens > 0, tokens };
  if (code !== null) return { ...judged, outcome: "told", code };
  const isEnded = !how.broke && (done || !how.streamed);
  if (how.isGood && isEnded && tokens === TOKENS) return { ...judged, outcome: "complete", code: null };
  return { ...judged, outcome: how.broke ? "silent" : "half", code: null };
}

interface Seen {
  tokens: number;
  done: boolean;
  code: string | null;
}

interface Envelope {
  readonly error?: { readonly code?: string };
}

function readEvent(data: string, seen: Seen): void {
  if (data === "[DONE]") {
    seen.done = true;
    return;
  }
  const chunk = JSON.parse(data) as Envelope & {
    readonly choices?: readonly { readonly delta?: { readonly content?: string } }[];
  };
  if (chunk.error !== undefined) seen.code = chunk.error.code ?? "?";
  for (const { delta } of chunk.choices ?? []) if ((delta?.content ?? "") !== "") seen.tokens += 1;
}

function readWhole(text: string, seen: Seen): void {
  const answer = JSON.parse(text) as Envelope & { readonly usage?: { readonly completion_tokens?: number } };
  if (answer.error !== undefined) seen.code = answer.error.code ?? "?";
  seen.tokens = answer.usage?.completion_tokens ?? 0;
}
