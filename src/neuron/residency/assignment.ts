import { z } from "zod";
import { loadOriginSchema, modelSpecSchema, type Activation } from "../../protocol/neuron-api.ts";
import { specHash } from "../../protocol/spec-hash.ts";
import { WORKER_PROTOCOL, type WorkerIdentity } from "../../protocol/worker-messages.ts";
import { heldOnDeviceMib } from "./device-ledger.ts";
import type { JobHistory } from "./job-history.ts";
import type { Residency, Resident } from "./residency-state.ts";
import { awaitedReturns } from "./restarts.ts";

/** What this neuron is to hold, as it is kept for the next one: which models, and where the workers of them are. */
const assignedModelSchema = z.object({
  instance: z.string(),
  spec: modelSpecSchema,
  spec_hash: z.string(),
  origin: loadOriginSchema,
  requested_at_ms: z.number(),
  /** False for one that was told to leave: its worker is to go, and it does not come back. */
  wanted: z.boolean(),
  /** Null while it loads or is to be loaded again: there is nothing to take over. */
  worker: z
    .object({
      pid: z.int().positive(),
      socket_path: z.string(),
      log_path: z.string(),
      loaded_at_ms: z.number(),
      devices: z.array(z.object({ index: z.int().nonnegative(), mib: z.int().nonnegative() })),
    })
    .nullable(),
});
export type AssignedModel = z.infer<typeof assignedModelSchema>;

const assignmentSchema = z.object({ version: z.literal(1), models: z.array(assignedModelSchema) });

export interface AddressedWorker {
  readonly socketPath: string;
  readonly logPath: string;
}

/**
 * Every model that is here, with those that are on their way out: the next neuron sees to their end. Behind them those
 * that are to come back, so that they take no memory from what is here now.
 */
export function assignmentOf(
  { models, ledger, restarts }: Residency,
  addressOf: (instance: string) => AddressedWorker | undefined,
): readonly AssignedModel[] {
  const here = [...models.values()].map((resident): AssignedModel => {
    const { instance, spec, pid, phase } = resident;
    const loadedAtMs = phase.name === "arrived" ? phase.loadedAtMs : resident.loadedAtMs;
    const address = addressOf(instance);
    const isLoaded = pid !== null && loadedAtMs !== null && address !== undefined;
    return {
      instance,
      spec,
      spec_hash: resident.specHash,
      origin: resident.origin,
      requested_at_ms: resident.requestedAtMs,
      wanted: isWanted(resident),
      worker: isLoaded
        ? {
            pid,
            socket_path: address.socketPath,
            log_path: address.logPath,
            loaded_at_ms: loadedAtMs,
            devices: resident.devices.map((index) => ({
              index,
              mib: heldOnDeviceMib(ledger, index, spec.model_id),
            })),
          }
        : null,
    };
  });
  const awaited = awaitedReturns(restarts)
    .filter(({ spec }) => !models.has(spec.model_id))
    .map(({ instance, spec, origin, requestedAtMs }): AssignedModel => ({
      instance,
      spec,
      spec_hash: specHash(spec),
      origin,
      requested_at_ms: requestedAtMs,
      wanted: true,
      worker: null,
    }));
  return [...here, ...awaited];
}

/** One that drains for a swap comes back to work when the swap is off, and a neuron that ends calls it off. */
const isWanted = ({ phase, returns }: Resident): boolean =>
  returns || (phase.name !== "stopping" && !(phase.name === "draining" && phase.unloadJobId !== null));

export const writeAssignment = (models: readonly AssignedModel[]): string =>
  `${JSON.stringify({ version: 1, models }, undefined, 2)}\n`;

/** Null for a text that is no assignment. */
export function readAssignment(text: string): readonly AssignedModel[] | null {
  try {
    return assignmentSchema.parse(JSON.parse(text)).models;
  } catch {
    return null;
  }
}

/** Why the worker that answers is not taken over; null when it is the one that was left. */
export function whyNotAdopted(assigned: AssignedModel, identity: WorkerIdentity | null): string | null {
  if (assigned.worker === null) return "it was still loading";
  if (identity === null) return "its worker is gone";
  if (identity.protocol !== WORKER_PROTOCOL) return "its worker is of another version";
  const isSame =
    identity.instance === assigned.instance &&
    identity.spec_hash === assigned.spec_hash &&
    identity.pid === assigned.worker.pid;
  return isSame ? null : "another worker answers in its place";
}

/** A model that was there before this start, and what became of it. */
export type RestoredModel =
  | { readonly modelId: string; readonly kind: "adopted" }
  | { readonly modelId: string; readonly kind: "loads"; readonly jobId: string }
  | { readonly modelId: string; readonly kind: "refused"; readonly reason: string }
  /** Somebody unloaded it while it was awaited. */
  | { readonly modelId: string; readonly kind: "dismissed" };

/** How far the restoring is: each model is in one list, but for those that nobody wants back any more. */
export function describeActivation(restored: readonly RestoredModel[], jobs: JobHistory): Activation {
  const pending: string[] = [];
  const loading: string[] = [];
  const completed: string[] = [];
  const failed: { readonly model_id: string; readonly error: string }[] = [];
  for (const model of restored) {
    const { modelId } = model;
    if (model.kind === "dismissed") continue;
    if (model.kind === "adopted") completed.push(modelId);
    else if (model.kind === "refused") failed.push({ model_id: modelId, error: model.reason });
    else {
      const job = jobs.get(model.jobId);
      // A job that is not kept any more has ended long ago.
      if (job === undefined || job.state === "done") completed.push(modelId);
      else if (job.error !== null) failed.push({ model_id: modelId, error: job.error.message });
      else if (job.state === "loading") loading.push(modelId);
      else pending.push(modelId);
    }
  }
  const [inProgress = null, ...alsoLoading] = loading;
  const waiting = [...alsoLoading, ...pending];
  return {
    state: inProgress === null && waiting.length === 0 ? "ready" : "pre_warming",
    pending: waiting,
    in_progress: inProgress,
    completed,
    failed,
  };
}
