import { z } from "zod";
import { assertNever } from "../core/assert-never.ts";
import { eventNumber } from "../core/event-ring.ts";
import {
  discoverySchema,
  healthSchema,
  jobSchema,
  residentModelSchema,
  type Discovery,
  type Health,
  type Job,
  type ResidentModel,
} from "./neuron-api.ts";

/**
 * `GET /events` of a neuron: server-sent events, the whole first (`snapshot-taken`), then every change. The `id` of an
 * event is `<life>:<number>`, a life being one run of the neuron's process, so that `Last-Event-ID` of an earlier run
 * never fits. A snapshot may come at any time, to a reader that was too slow for the changes: it replaces everything.
 */

/** A comment at least this often, so that silence means trouble. */
export const EVENT_HEARTBEAT_MS = 1000;

const generationSchema = z.int().nonnegative();

export const neuronEventSchema = z.discriminatedUnion("kind", [
  /** Everything, as it is now. */
  z.object({
    kind: z.literal("snapshot-taken"),
    generation: generationSchema,
    discovery: discoverySchema,
    health: healthSchema,
    models: z.array(residentModelSchema),
    jobs: z.array(jobSchema),
  }),
  /** A model came, or something about it is different now. */
  z.object({ kind: z.literal("model-changed"), generation: generationSchema, model: residentModelSchema }),
  /** A model is gone, and with it its memory. */
  z.object({ kind: z.literal("model-removed"), generation: generationSchema, model_id: z.string() }),
  /** Models came and went between two looks: nothing is different now, but plans made before are outdated. */
  z.object({ kind: z.literal("generation-risen"), generation: generationSchema }),
  /** A job was opened, moved on, or ended. */
  z.object({ kind: z.literal("job-changed"), job: jobSchema }),
  /** A job that ended long ago is not kept any more. */
  z.object({ kind: z.literal("job-forgotten"), job_id: z.string() }),
  /** Readings, traffic or willingness are different now. */
  z.object({ kind: z.literal("health-changed"), health: healthSchema }),
  /** The machine's devices, or what is known of its models, are different now. */
  z.object({ kind: z.literal("discovery-changed"), discovery: discoverySchema }),
]);
export type NeuronEvent = z.infer<typeof neuronEventSchema>;

/** What the events of a neuron add up to. */
export interface NeuronObservation {
  readonly generation: number;
  readonly discovery: Discovery;
  readonly health: Health;
  readonly models: readonly ResidentModel[];
  readonly jobs: readonly Job[];
}

/** The observation after an event; null as long as no snapshot came. */
export function applyNeuronEvent(
  seen: NeuronObservation | null,
  event: NeuronEvent,
): NeuronObservation | null {
  if (event.kind === "snapshot-taken") {
    const { kind: _kind, ...whole } = event;
    return whole;
  }
  if (seen === null) return null;
  switch (event.kind) {
    case "model-changed":
      return {
        ...seen,
        generation: event.generation,
        models: replaced(seen.models, event.model),
      };
    case "model-removed": {
      const models = seen.models.filter(({ id }) => id !== event.model_id);
      return { ...seen, generation: event.generation, models };
    }
    case "generation-risen":
      return { ...seen, generation: event.generation };
    case "job-changed":
      return { ...seen, jobs: replaced(seen.jobs, event.job) };
    case "job-forgotten":
      return { ...seen, jobs: seen.jobs.filter(({ id }) => id !== event.job_id) };
    case "health-changed":
      return { ...seen, health: event.health };
    case "discovery-changed":
      return { ...seen, discovery: event.discovery };
    default:
      return assertNever(event);
  }
}

function replaced<Item extends { readonly id: string }>(items: readonly Item[], item: Item): readonly Item[] {
  return items.some(({ id }) => id === item.id)
    ? items.map((old) => (old.id === item.id ? item : old))
    : [...items, item];
}

/** Whether what was told at `id` is older than what is known from the event `known`; of another life nothing is. */
export function isOlderThanEvent(id: string | undefined, known: string | undefined): boolean {
  const life = known?.split(":")[0];
  if (life === undefined) return false;
  const told = eventNumber(id, life);
  const seen = eventNumber(known, life);
  return told !== null && seen !== null && told < seen;
}
