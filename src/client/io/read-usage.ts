import { request } from "undici";
import type { Clock } from "../../core/clock.ts";
import { withDeadline } from "../../core/deadline.ts";
import { CortexError } from "../../core/errors.ts";
import { fromErrorResponse } from "../../protocol/error-envelope.ts";
import { usageReportSchema, type UsageReport } from "../../protocol/gateway-api.ts";
import { bearer } from "../bearer.ts";

const TIMEOUT_MS = 10_000;

export interface ReadUsageOptions {
  readonly baseUrl: string;
  readonly apiKey: string | undefined;
  readonly sinceMs: number;
  readonly clock: Clock;
}

/** `GET /usage`. Throws the gateway's own error, or `upstream_connection_error` where none answers. */
export async function readUsage({ baseUrl, apiKey, sinceMs, clock }: ReadUsageOptions): Promise<UsageReport> {
  const timedOut = () =>
    new CortexError("upstream_connection_error", `${baseUrl} did not answer within ${TIMEOUT_MS / 1000} s`);
  return await withDeadline({ clock, timeoutMs: TIMEOUT_MS, timedOut }, async (signal) => {
    const url = `${baseUrl}/usage?since_ms=${Math.max(0, Math.floor(sinceMs))}`;
    const response = await request(url, { headers: bearer(apiKey), signal }).catch((thrown: unknown) => {
      throw new CortexError("upstream_connection_error", `${baseUrl} does not answer`, {
        next: "name the gateway with --gateway; `cortex serve` starts one",
        cause: thrown,
      });
    });
    const body: unknown = await response.body.json();
    if (response.statusCode !== 200) {
      throw fromErrorResponse(response.statusCode, body, "upstream_connection_error");
    }
    return usageReportSchema.parse(body);
  });
}
