import { request } from "undici";
import type { Clock } from "../../../core/clock.ts";
import type { ObservedTraffic } from "../observed-fleet.ts";
import { trafficFromMetrics } from "../traffic-counters.ts";

const METRICS_TIMEOUT_MS = 2000;
/** A large fleet's metrics are some hundred kilobytes. */
const LONGEST_ANSWER = 16 * 1024 * 1024;

/** The gateway's request counts; undefined when it cannot be asked, which is no reason not to plan. */
export async function readTraffic(metricsUrl: string, clock: Clock): Promise<ObservedTraffic | undefined> {
  try {
    const response = await request(metricsUrl, { signal: AbortSignal.timeout(METRICS_TIMEOUT_MS) });
    if (response.statusCode !== 200) {
      await response.body.dump();
      return undefined;
    }
    const chunks: Buffer[] = [];
    let length = 0;
    for await (const chunk of response.body as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > LONGEST_ANSWER) return undefined;
      chunks.push(chunk);
    }
    return trafficFromMetrics(Buffer.concat(chunks).toString("utf8"), clock.nowMs());
  } catch {
    return undefined;
  }
}
