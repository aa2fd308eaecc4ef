import type { NeuronAccess } from "../../../protocol/io/neuron-client.ts";
import type { Clock } from "../../../core/clock.ts";
import { CortexError } from "../../../core/errors.ts";
import type { Fleet } from "../../../fleet/schema/fleet-schema.ts";
import { factOf, sortedFacts } from "../estimated-facts.ts";
import type { ObservedFleet, ObservedNeuron } from "../observed-fleet.ts";
import { withOwners } from "../foreign-copies.ts";
import type { FleetOwner } from "../../../fleet/fleet-owner.ts";
import { createNeuronClient, type NeuronClient } from "../../../protocol/io/neuron-client.ts";
import { modelSpecFromBlock } from "../../../protocol/model-spec.ts";
import type { ModelFact, ModelSpec } from "../../../protocol/neuron-api.ts";
import { neuronProblem } from "../../../protocol/neuron-failure.ts";

export interface ObserveDeps {
  readonly clock: Clock;
  readonly neuronAccess?: NeuronAccess | undefined;
  /** How long a neuron may take to answer; 5 s by default. */
  readonly timeoutMs?: number | undefined;
  /** For whom: fleets of the same name from other repositories are told apart. */
  readonly owner?: FleetOwner | undefined;
}

const OBSERVE_TIMEOUT_MS = 5000;

/** What is asked: the neurons, and what loads of these models would take there. */
export interface AskedFleet {
  readonly neurons: Fleet["neurons"];
  readonly models?: Fleet["models"];
}

/**
 * Asks every declared neuron, all at once, what it is and what it holds. Never rejects because of a neuron: one that
 * does not answer is a fact of the observation, with its problem in words and its content unknown.
 */
export async function observeFleet(fleet: AskedFleet, deps: ObserveDeps): Promise<ObservedFleet> {
  const observedAtMs = deps.clock.nowMs();
  const specs = (fleet.models ?? []).map(modelSpecFromBlock);
  const neurons = await Promise.all(fleet.neurons.map((neuron) => observeNeuron(neuron, specs, deps)));
  return { observedAtMs, neurons };
}

/**
 * What the neuron says of models before it loads them. Nothing where it cannot: a neuron of an older version, or one
 * that is slow to read its disk, is planned with all the same.
 */
async function estimatedFacts(client: NeuronClient, specs: readonly ModelSpec[]): Promise<ModelFact[]> {
  if (specs.length === 0) return [];
  try {
    const { estimates } = await client.estimate(specs);
    return estimates.flatMap((estimate) => ("error" in estimate ? [] : factOf(estimate)));
  } catch (thrown) {
    if (thrown instanceof CortexError) return [];
    throw thrown;
  }
}

// oxlint-disable-next-line max-params -- who, what, with what
async function observeNeuron(
  neuron: { readonly name: string; readonly endpoint: string },
  specs: readonly ModelSpec[],
  deps: ObserveDeps,
): Promise<ObservedNeuron> {
  const { name, endpoint } = neuron;
  const client = createNeuronClient(neuron, {
    clock: deps.clock,
    access: deps.neuronAccess,
    callTimeoutMs: deps.timeoutMs ?? OBSERVE_TIMEOUT_MS,
  });
  try {
    const [discovery, { event_id: _moment, activation: _restored, ...health }, residency] = await Promise.all(
      [client.discovery(), client.health(), client.models()],
    );
    const { generation } = residency;
    const models = withOwners(residency.models, deps.owner);
    const offered = specs.filter(({ harness }) => discovery.harnesses.includes(harness));
    const facts = [...(discovery.facts ?? []), ...(await estimatedFacts(client, offered))];
    const known = facts.length === 0 ? discovery : { ...discovery, facts: sortedFacts(facts) };
    return { name, endpoint, reachable: true, discovery: known, health, generation, models };
  } catch (thrown) {
    if (!(thrown instanceof CortexError)) throw thrown;
    return { name, endpoint, reachable: false, problem: neuronProblem(thrown) ?? thrown.message };
  } finally {
    await client.destroy();
  }
}
