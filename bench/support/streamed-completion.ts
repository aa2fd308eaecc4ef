import { measureAnswer } from "../../src/client/measure/io/measure-answer.ts";
import { systemClock } from "../../src/platform/system-clock.ts";
import { MODEL } from "./compared-servers.ts";
import type { Served } from "./served-process.ts";

export interface Completed {
  readonly tokens: number;
  readonly firstTokenMs: number;
  /** Behind the first one. */
  readonly tokensPerSecond: number;
}

/** One streamed completion at temperature 0, measured as `cortex bench` does. */
export async function complete({ base }: Served, prompt: string, maxTokens: number): Promise<Completed> {
  const { completionTokens, firstTokenMs, totalMs } = await measureAnswer({
    baseUrl: base,
    path: "/v1/completions",
    apiKey: undefined,
    body: { model: MODEL, prompt, max_tokens: maxTokens, temperature: 0, ignore_eos: true },
    clock: systemClock,
  });
  const tokensPerSecond = ((completionTokens - 1) * 1000) / Math.max(1, totalMs - firstTokenMs);
  return { tokens: completionTokens, firstTokenMs, tokensPerSecond };
}
