import type { Clock } from "../../../core/clock.ts";
import { CortexError } from "../../../core/errors.ts";
import type { Fleet } from "../../../fleet/schema/fleet-schema.ts";
import type { ObservedFleet, ObservedNeuron } from "../observed-fleet.ts";
import { createNeuronClient } from "../../../protocol/io/neuron-client.ts";
import { neuronProblem } from "../../../protocol/neuron-failure.ts";

export interface ObserveDeps {
  readonly clock: Clock;
  /** Shared secret of the neurons. */
  readonly neuronToken?: string | undefined;
  /** How long a neuron may take to answer; 5 s by default. */
  readonly timeoutMs?: number | undefined;
}

const OBSERVE_TIMEOUT_MS = 5000;

/**
 * Asks every declared neuron, all at once, what it is and what it holds. Never rejects because of a neuron: one that
 * does not answer is a fact of the observation, with its problem in words and its content unknown.
 */
export async function observeFleet(fleet: Pick<Fleet, "neurons">, deps: ObserveDeps): Promise<ObservedFleet> {
  const observedAtMs = deps.clock.nowMs();
  const neurons = await Promise.all(fleet.neurons.map((neuron) => observeNeuron(neuron, deps)));
  return { observedAtMs, neurons };
}

async function observeNeuron(
  neuron: { readonly name: string; readonly endpoint: string },
  deps: ObserveDeps,
): Promise<ObservedNeuron> {
  const { name, endpoint } = neuron;
  const client = createNeuronClient(neuron, {
    clock: deps.clock,
    token: deps.neuronToken,
    callTimeoutMs: deps.timeoutMs ?? OBSERVE_TIMEOUT_MS,
  });
  try {
    const [discovery, { event_id: _moment, ...health }, residency] = await Promise.all([
      client.discovery(),
      client.health(),
      client.models(),
    ]);
    const { generation, models } = residency;
    return { name, endpoint, reachable: true, discovery, health, generation, models };
  } catch (thrown) {
    if (!(thrown instanceof CortexError)) throw thrown;
    return { name, endpoint, reachable: false, problem: neuronProblem(thrown) ?? thrown.message };
  } finally {
    await client.destroy();
  }
}
