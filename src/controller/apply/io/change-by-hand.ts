import { assertNever } from "../../../core/assert-never.ts";
import type { Clock } from "../../../core/clock.ts";
import { CortexError } from "../../../core/errors.ts";
import { modelBlockSchema } from "../../../fleet/schema/fleet-schema.ts";
import type { FleetNeuronState, FleetState } from "../../../protocol/gateway-api.ts";
import {
  createNeuronClient,
  type NeuronAccess,
  type NeuronClient,
} from "../../../protocol/io/neuron-client.ts";
import { modelSpecFromBlock } from "../../../protocol/model-spec.ts";
import type { ChangeResponse, ModelSpec } from "../../../protocol/neuron-api.ts";
import { jobFailure } from "../job-reports.ts";

/** One change that a person wants now, beside the fleet files. */
export type HandChange =
  | { readonly kind: "drain" | "resume"; readonly neuron: string }
  | { readonly kind: "load" | "unload"; readonly model: string; readonly neuron: string };

export interface HandDeps {
  readonly clock: Clock;
  readonly neuronAccess?: NeuronAccess | undefined;
  /** Told once the neuron has taken it, where it takes a while. */
  readonly onBegun: () => void;
}

const TIMEOUT_MS = 10_000;
const DRAIN_TIMEOUT_SECS = 30;

const POLL_MS = 500;

/**
 * Asks the neuron, on condition that it is as it was seen, waits for the end, and says what came of it. What is loaded this way is a
 * person's (`manual`): neither requests nor this fleet's applies take it for their own.
 */
export async function changeByHand(
  change: HandChange,
  seen: FleetState | null,
  deps: HandDeps,
): Promise<string> {
  const { clock, neuronAccess } = deps;
  const neuron = seen?.neurons.find(({ name }) => name === change.neuron);
  if (seen === null || neuron === undefined)
    throw new CortexError("usage_error", `no neuron ${change.neuron} is known now`);
  const client = createNeuronClient(neuron, { clock, access: neuronAccess, callTimeoutMs: TIMEOUT_MS });
  try {
    return await carryOut(change, { seen, neuron, client, deps });
  } finally {
    await client.destroy();
  }
}

interface Asked {
  readonly seen: FleetState;
  readonly neuron: FleetNeuronState;
  readonly client: NeuronClient;
  readonly deps: HandDeps;
}

async function carryOut(change: HandChange, { seen, neuron, client, deps }: Asked): Promise<string> {
  const condition = neuron.generation === null ? {} : { generation: neuron.generation };
  switch (change.kind) {
    case "drain":
      await client.drain();
      return "it takes no new work";
    case "resume":
      await client.resume();
      return "it takes work again";
    case "load": {
      const spec = specOf(change.model, seen);
      const answer = await client.load({ ...spec, origin: { kind: "manual" } }, condition);
      return ended(answer, client, deps);
    }
    case "unload": {
      const asked = { model_id: change.model, drain_timeout_secs: DRAIN_TIMEOUT_SECS, force: false };
      return ended(await client.unload(asked, condition), client, deps);
    }
    default:
      return assertNever(change);
  }
}

/** In the settings that the gateway's files declare. */
function specOf(model: string, { declared }: FleetState): ModelSpec {
  const block = modelBlockSchema.safeParse(declared.models.find(({ id }) => id === model));
  if (block.success) return modelSpecFromBlock(block.data);
  throw new CortexError("usage_error", `${model} is not declared in a form that this version knows`, {
    next: "`cortex apply` loads what the fleet files declare",
  });
}

/** Until its job has ended. Throws what it failed of. */
// oxlint-disable-next-line max-params -- what was answered, by whom, and with what
async function ended(
  { status, job: begun }: ChangeResponse,
  client: NeuronClient,
  { clock, onBegun }: HandDeps,
): Promise<string> {
  if (begun === null) return status;
  onBegun();
  let job = begun;
  while (job.state !== "done") {
    if (job.state === "failed") throw jobFailure(job);
    await clock.sleep(POLL_MS);
    job = await client.job(begun.id);
  }
  return job.kind === "unload" ? "unloaded" : "loaded";
}
