import type { NeuronAccess } from "../../../protocol/io/neuron-client.ts";
import { request } from "undici";
import { z } from "zod";
import type { Clock } from "../../../core/clock.ts";
import { withDeadline } from "../../../core/deadline.ts";
import type { Fleet } from "../../../fleet/schema/fleet-schema.ts";
import { fleetStateSchema } from "../../../protocol/gateway-api.ts";
import type { LoopsHeld, StatusReport } from "../../../protocol/status-report.ts";
import { statusReport } from "../status-report.ts";
import { observeFleet } from "./observe-fleet.ts";

type GatewayPart = StatusReport["gateway"];

const gatewayStatusSchema = z.looseObject({
  status: z.string(),
  reasons: z.array(z.string()).catch([]),
});
const workSchema = fleetStateSchema.pick({
  now_ms: true,
  loads: true,
  queues: true,
  failed_loads: true,
  workers: true,
});
const GATEWAY_TIMEOUT_MS = 3000;

export interface ReadStatusOptions {
  readonly fleet: Fleet;
  /** What tells its repository from others. */
  readonly repository: readonly string[] | undefined;
  readonly gatewayUrl: string;
  readonly neuronAccess?: NeuronAccess | undefined;
  /** For gateways of a fleet with keys. */
  readonly apiKey?: string | undefined;
  readonly clock: Clock;
  /** Whether the loops of the fleet may change it; never throws. */
  readonly loops?: (() => Promise<LoopsHeld>) | undefined;
}

/** Asks every neuron and the gateway, all at once; what does not answer is part of the report. */
export async function readStatus(options: ReadStatusOptions): Promise<StatusReport> {
  const { fleet, repository, clock, neuronAccess } = options;
  const owner = { name: fleet.fleet.name, repository };
  const [observed, gateway, loops] = await Promise.all([
    observeFleet({ neurons: fleet.neurons }, { clock, neuronAccess, owner }),
    askGateway(options),
    options.loops?.(),
  ]);
  return statusReport({ fleet, observed, gateway, loops, isOwnerUnknown: repository === undefined });
}

async function askGateway({ gatewayUrl: url, clock, apiKey }: ReadStatusOptions): Promise<GatewayPart> {
  try {
    return await withDeadline({ clock, timeoutMs: GATEWAY_TIMEOUT_MS }, async (signal) => {
      const response = await request(`${url}/health`, { signal });
      const { status, reasons } = gatewayStatusSchema.parse(await response.body.json());
      const headers = apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` };
      const fleet = await request(`${url}/fleet`, { signal, headers });
      const told = workSchema.safeParse(await fleet.body.json());
      const answers = { url, status, problem: null, reasons };
      if (!told.success) return { ...answers, work: null, work_problem: noWork(fleet.statusCode) };
      const { workers, ...work } = told.data;
      return { ...answers, work, work_problem: null, ...(workers === undefined ? {} : { workers }) };
    });
  } catch (thrown) {
    const refused = thrown instanceof Error && "code" in thrown && thrown.code === "ECONNREFUSED";
    const problem = refused ? "connection refused" : "no answer";
    return { url, status: null, problem, reasons: [], work: null, work_problem: null };
  }
}

const noWork = (status: number): string =>
  status === 401 || status === 403
    ? "loads and queues need a key with the admin role: --api-key-file"
    : `loads and queues are not told (HTTP ${status})`;
