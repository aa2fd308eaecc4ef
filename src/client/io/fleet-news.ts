import { request } from "undici";
import type { Clock } from "../../core/clock.ts";
import { sleptThrough } from "../../core/interruptible-sleep.ts";
import { bearer } from "../../protocol/headers/bearer.ts";

export interface NewsOptions {
  readonly baseUrl: string;
  readonly apiKey: string | undefined;
  readonly clock: Clock;
  readonly onNews: () => void;
  readonly signal: AbortSignal;
}

/** A gateway that does not tell is asked again so much later; whoever wants to know looks by itself meanwhile. */
const AGAIN_MS = 5000;
/** A comment comes each second: a connection that is silent for so long leads nowhere. */
const SILENT_AFTER_MS = 10_000;

/** Says that something has changed as often as `GET /fleet/events` does, until the signal aborts. Never rejects. */
export async function followFleetNews(options: NewsOptions): Promise<void> {
  const { clock, signal } = options;
  do await listen(options).catch(() => undefined);
  while (await sleptThrough(clock, AGAIN_MS, signal));
}

async function listen({ baseUrl, apiKey, onNews, signal }: NewsOptions): Promise<void> {
  const headers = bearer(apiKey);
  const response = await request(`${baseUrl}/fleet/events`, {
    headers,
    signal,
    bodyTimeout: SILENT_AFTER_MS,
  });
  if (response.statusCode !== 200) {
    await response.body.dump();
    return;
  }
  for await (const bytes of response.body as AsyncIterable<Buffer>) {
    if (/^data:/m.test(bytes.toString("latin1"))) onNews();
  }
}
