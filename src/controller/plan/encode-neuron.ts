import { present } from "../../core/present.ts";
import type { NeuronBlock } from "../../fleet/schema/fleet-schema.ts";
import type { PlanDocument } from "../../protocol/plan-document.ts";
import { residentShares } from "../observe/device-memory.ts";
import { withoutCredentials } from "../observe/fleet-snapshots.ts";
import { factsDigest, neuronFacts } from "../observe/neuron-facts.ts";
import type { ObservedNeuron } from "../observe/observed-fleet.ts";
import type { Simulation } from "./simulate.ts";

/** A neuron as the plan saw it, and what the plan does to its memory. */
export function encodeNeuron(
  neuron: ObservedNeuron,
  block: NeuronBlock | undefined,
  simulation: Simulation,
): PlanDocument["neurons"][number] {
  const { name } = neuron;
  const endpoint = withoutCredentials(neuron.endpoint);
  const drain = block?.drain ?? false;
  if (!neuron.reachable) {
    return {
      name,
      endpoint,
      reachable: false,
      problem: withoutCredentials(neuron.problem),
      drain,
      generation: null,
      observation_digest: null,
      status: null,
      harnesses: [],
      models: [],
      disk_free_bytes: null,
      devices: [],
    };
  }
  const facts = neuronFacts(neuron);
  const memory = simulation.devices.get(name);
  const shares = residentShares(neuron);
  return {
    name,
    endpoint,
    reachable: true,
    problem: null,
    drain,
    generation: facts.generation,
    observation_digest: factsDigest(facts),
    status: facts.status,
    harnesses: [...facts.harnesses],
    models: facts.models.map((model) => ({
      model_id: model.model_id,
      spec_hash: model.spec_hash,
      status: model.status,
      origin: model.origin,
      fleet: model.fleet,
      devices: [...model.devices],
      device_vram_mb: model.devices.map((index) =>
        present(shares.get(model.model_id)?.get(index), "the memory on device", index),
      ),
    })),
    disk_free_bytes: neuron.discovery.disk_free_bytes,
    devices: facts.devices.map((device) => {
      const used = present(memory?.get(device.index), "the memory of device", device.index);
      return {
        ...device,
        vram_before_mb: used.beforeMib,
        vram_peak_mb: used.peakMib,
        vram_after_mb: used.afterMib,
      };
    }),
  };
}
