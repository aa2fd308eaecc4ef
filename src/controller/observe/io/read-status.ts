import { request } from "undici";
import { z } from "zod";
import type { Clock } from "../../../core/clock.ts";
import { withDeadline } from "../../../core/deadline.ts";
import type { Fleet } from "../../../fleet/schema/fleet-schema.ts";
import type { StatusReport } from "../../../protocol/status-report.ts";
import { statusReport } from "../status-report.ts";
import { observeFleet } from "./observe-fleet.ts";

const gatewayStatusSchema = z.looseObject({ status: z.string() });
const GATEWAY_TIMEOUT_MS = 3000;

export interface ReadStatusOptions {
  readonly fleet: Fleet;
  /** What tells its repository from others. */
  readonly repository: readonly string[] | undefined;
  readonly gatewayUrl: string;
  readonly neuronToken?: string | undefined;
  readonly clock: Clock;
}

/** Asks every neuron and the gateway, all at once; what does not answer is part of the report. */
export async function readStatus(options: ReadStatusOptions): Promise<StatusReport> {
  const { fleet, repository, clock, neuronToken, gatewayUrl } = options;
  const owner = { name: fleet.fleet.name, repository };
  const [observed, gateway] = await Promise.all([
    observeFleet({ neurons: fleet.neurons }, { clock, neuronToken, owner }),
    askGateway(gatewayUrl, clock),
  ]);
  return statusReport({ fleet, observed, gateway });
}

async function askGateway(url: string, clock: Clock): Promise<StatusReport["gateway"]> {
  try {
    return await withDeadline({ clock, timeoutMs: GATEWAY_TIMEOUT_MS }, async (signal) => {
      const response = await request(`${url}/health`, { signal });
      const { status } = gatewayStatusSchema.parse(await response.body.json());
      return { url, status, problem: null };
    });
  } catch (thrown) {
    const refused = thrown instanceof Error && "code" in thrown && thrown.code === "ECONNREFUSED";
    return { url, status: null, problem: refused ? "connection refused" : "no answer" };
  }
}
