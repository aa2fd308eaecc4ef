import { z } from "zod";
import { deviceSchema, discoverySchema, healthSchema, residentModelSchema } from "./neuron-api.ts";

/**
 * What was seen of a fleet at one moment, in a file: `cortex snapshot` writes it, `cortex plan --against` plans on it
 * and `cortex plan verify` checks a plan against it, all without access to the fleet. It holds what placement needs
 * and nothing that opens a door: names of neurons and models, hardware, memory; no endpoints (the fleet files have
 * them), no tokens, no paths, no host names, no process ids, no request ids.
 */
export const SNAPSHOT_FORMAT_VERSION = 1;

const snapshotDiscoverySchema = discoverySchema
  .omit({ hostname: true, os: true, kernel: true, cpu_cores: true, driver_version: true })
  .extend({ devices: z.array(deviceSchema.omit({ uuid: true })) });

const snapshotModelSchema = residentModelSchema
  .omit({ pid: true, origin: true, servable: true, spec: true })
  .extend({
    origin: z.enum(["revision", "request", "manual"]),
    /** Name of the fleet that had it loaded; absent where nobody says. */
    fleet: z.string().optional(),
    servable: z.boolean(),
  });
export type SnapshotModel = z.infer<typeof snapshotModelSchema>;

const snapshotNeuronSchema = z.discriminatedUnion("reachable", [
  z.object({
    name: z.string(),
    reachable: z.literal(true),
    generation: z.int().nonnegative(),
    discovery: snapshotDiscoverySchema,
    health: healthSchema.omit({ uptime_secs: true, event_id: true, activation: true }),
    models: z.array(snapshotModelSchema),
  }),
  z.object({ name: z.string(), reachable: z.literal(false), problem: z.string() }),
]);
export type SnapshotNeuron = z.infer<typeof snapshotNeuronSchema>;

export const fleetSnapshotSchema = z.object({
  format_version: z.literal(SNAPSHOT_FORMAT_VERSION),
  /** Name of the fleet: a snapshot of one fleet says nothing about another. */
  fleet: z.string(),
  taken_at_ms: z.number(),
  neurons: z.array(snapshotNeuronSchema),
  /** Requests per minute of each copy, as the gateway counted them; null when it was not asked. */
  traffic: z
    .object({
      window_secs: z.number().nonnegative(),
      copies: z.array(
        z.object({
          neuron: z.string(),
          model_id: z.string(),
          requests_per_minute: z.number().nonnegative(),
        }),
      ),
    })
    .nullable(),
});
export type FleetSnapshot = z.infer<typeof fleetSnapshotSchema>;
