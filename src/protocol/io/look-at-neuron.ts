import { CortexError } from "../../core/errors.ts";
import type { NeuronObservation } from "../neuron-events.ts";
import { neuronProblem } from "../neuron-failure.ts";
import type { NeuronClient } from "./neuron-client.ts";

/** What a neuron is and holds, all of one moment. */
export type NeuronLook = Omit<NeuronObservation, "jobs">;

/**
 * One question: the snapshot that a neuron's events begin with. A neuron that does not give it (an older version, or one
 * with too many followers) is asked the three questions that there were before. Rejects as the calls do.
 */
export async function lookAtNeuron(client: NeuronClient): Promise<NeuronLook> {
  const seen = new AbortController();
  try {
    for await (const batch of client.events({ lastEventId: undefined, signal: seen.signal })) {
      for (const { event } of batch) {
        if (event.kind !== "snapshot-taken") continue;
        const { discovery, health, generation, models } = event;
        return { discovery, health, generation, models };
      }
    }
  } catch (thrown) {
    const isRefusal = thrown instanceof CortexError && neuronProblem(thrown) === undefined;
    if (!isRefusal) throw thrown;
  } finally {
    seen.abort();
  }
  return askThrice(client);
}

async function askThrice(client: NeuronClient): Promise<NeuronLook> {
  const [discovery, health, { generation, models }] = await Promise.all([
    client.discovery(),
    client.health(),
    client.models(),
  ]);
  return { discovery, health, generation, models };
}
