import { request } from "undici";
import type { z } from "zod";
import type { Clock } from "../../core/clock.ts";
import { withDeadline } from "../../core/deadline.ts";
import { CortexError } from "../../core/errors.ts";
import { fromErrorResponse } from "../../protocol/error-envelope.ts";
import { bearer } from "../../protocol/headers/bearer.ts";

const TIMEOUT_MS = 10_000;

export interface GatewayAccess {
  readonly baseUrl: string;
  readonly apiKey: string | undefined;
  readonly clock: Clock;
}

/** `GET path`. Throws the gateway's own error, or `upstream_connection_error` where none answers. */
export async function askGateway<Schema extends z.ZodType>(
  { baseUrl, apiKey, clock }: GatewayAccess,
  { path, schema }: { readonly path: string; readonly schema: Schema },
): Promise<z.infer<Schema>> {
  const timedOut = () =>
    new CortexError("upstream_connection_error", `${baseUrl} did not answer within ${TIMEOUT_MS / 1000} s`);
  return await withDeadline({ clock, timeoutMs: TIMEOUT_MS, timedOut }, async (signal) => {
    const headers = bearer(apiKey);
    const response = await request(`${baseUrl}${path}`, { headers, signal }).catch((thrown: unknown) => {
      throw new CortexError("upstream_connection_error", `${baseUrl} does not answer`, {
        next: "name the gateway with --gateway; `cortex serve` starts one",
        cause: thrown,
      });
    });
    const body: unknown = await response.body.json();
    if (response.statusCode !== 200) {
      throw fromErrorResponse(response.statusCode, body, "upstream_connection_error");
    }
    return schema.parse(body);
  });
}
