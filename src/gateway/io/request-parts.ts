import type { FastifyInstance } from "fastify";
import type { Clock } from "../../core/clock.ts";
import { CortexError } from "../../core/errors.ts";
import { withinGrace } from "../../core/interruptible-sleep.ts";
import type { NeuronBlock } from "../../fleet/schema/fleet-schema.ts";
import { createNeuronClient, type NeuronAccess, type NeuronClient } from "../../protocol/io/neuron-client.ts";
import type { CalledNeuron } from "../../protocol/neuron-failure.ts";
import { AnswerShelf } from "../dialect/contract/answer-shelf.ts";
import type { GatewayConfig, GatewayTimings } from "../gateway-config.ts";
import { gatewayRates } from "../request-rate.ts";
import { RequestMemory } from "../request-record.ts";
import type { FleetIndex } from "../view/fleet-index.ts";
import { ActiveRequests } from "./active-requests.ts";
import { SHELF_LIMITS } from "./gateway-server.ts";
import { RequestTracing } from "./request-tracing.ts";

/* What a process has that serves requests: the whole gateway, or one of several workers. */

/** Whose way can be explained afterwards: a kilobyte or two each. */
export const REQUESTS_KEPT = 1000;

/** After the grace period: how long the last error events may take to leave before connections are cut. */
export const LAST_WORDS_MS = 1000;

/** What a gateway remembers of requests, each in its way. */
export const memoriesOf = () => ({
  active: new ActiveRequests(),
  requests: new RequestMemory(REQUESTS_KEPT),
  ...gatewayRates(),
  shelf: new AnswerShelf(SHELF_LIMITS),
});

/**
 * The packages that send spans take 200 ms and 16 MB: they are loaded only where somebody wants them. `worker`: which of
 * several processes this is.
 */
export async function openTracing(
  config: GatewayConfig,
  clock: Clock,
  worker?: number,
): Promise<RequestTracing | null> {
  const { tracing, build } = config;
  if (tracing === undefined) return null;
  const { createSpanExporter } = await import("../../platform/span-exporter.ts");
  const sink = createSpanExporter({
    url: tracing.url,
    serviceName: "cortex-gateway",
    packageVersion: build?.packageVersion ?? "0.0.0",
    worker,
  });
  return new RequestTracing(sink, { ratio: tracing.sampleRatio, clock });
}

export interface NeuronCalling {
  readonly clock: Clock;
  readonly neuronAccess?: NeuronAccess | undefined;
}

export function neuronConnector(
  timings: GatewayTimings,
  { clock, neuronAccess }: NeuronCalling,
): (neuron: CalledNeuron) => NeuronClient {
  const options = {
    clock,
    callTimeoutMs: timings.controlTimeoutMs,
    connectTimeoutMs: timings.connectTimeoutMs,
    access: neuronAccess,
  };
  return (neuron) => createNeuronClient(neuron, options);
}

/** What goes on keeps its neuron's connections until it has ended. */
export function renewNeurons(
  neurons: Map<string, NeuronClient>,
  change: {
    readonly former: ReadonlyMap<string, NeuronBlock>;
    readonly fleet: Pick<FleetIndex, "neurons" | "neuronsByName">;
    readonly connect: (neuron: CalledNeuron) => NeuronClient;
  },
): void {
  const { former, fleet, connect } = change;
  for (const [name, client] of neurons) {
    if (fleet.neuronsByName.get(name)?.endpoint === former.get(name)?.endpoint) continue;
    neurons.delete(name);
    void client.retire();
  }
  for (const neuron of fleet.neurons)
    if (!neurons.has(neuron.name)) neurons.set(neuron.name, connect(neuron));
}

interface Draining {
  readonly active: ActiveRequests;
  readonly clock: Clock;
  readonly timings: Pick<GatewayTimings, "closeGraceMs">;
}

/** Lets requests end within the grace period; what is left then ends with an error that its client can read. */
export async function stopRequests({ active, clock, timings }: Draining): Promise<void> {
  await withinGrace(active.idle(), { clock, graceMs: timings.closeGraceMs });
  active.stopAll(new CortexError("draining", "the gateway is shutting down; the answer is incomplete"));
  await withinGrace(active.idle(), { clock, graceMs: LAST_WORDS_MS });
}

/** New requests are refused on a live socket meanwhile: a refused connection says nothing of when to come back. */
export async function drainRequests({
  api,
  ...draining
}: Draining & { readonly api: FastifyInstance }): Promise<void> {
  await stopRequests(draining);
  // The HTTP server itself first: Fastify's own close would answer open connections in words that are not ours.
  api.server.close();
  api.server.closeAllConnections();
}
