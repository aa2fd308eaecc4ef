import { request } from "undici";
import type { Clock } from "../../../core/clock.ts";
import { withDeadline } from "../../../core/deadline.ts";
import { readBoundedText } from "../../../protocol/io/bounded-body.ts";
import type { ObservedTraffic } from "../observed-fleet.ts";
import { trafficFromMetrics } from "../traffic-counters.ts";

const METRICS_TIMEOUT_MS = 2000;
/** A large fleet's metrics are some hundred kilobytes. */
const ANSWER_LIMIT_MIB = 16;

/** The gateway's request counts; undefined when it cannot be asked, which is no reason not to plan. */
export async function readTraffic(metricsUrl: string, clock: Clock): Promise<ObservedTraffic | undefined> {
  try {
    return await withDeadline({ clock, timeoutMs: METRICS_TIMEOUT_MS }, async (signal) => {
      const response = await request(metricsUrl, { signal });
      if (response.statusCode !== 200) {
        await response.body.dump();
        return undefined;
      }
      const text = await readBoundedText(response.body, ANSWER_LIMIT_MIB);
      return trafficFromMetrics(text, clock.nowMs());
    });
  } catch {
    return undefined;
  }
}
