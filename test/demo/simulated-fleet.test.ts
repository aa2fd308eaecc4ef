import { expect, test } from "vitest";
import { DEMO_PORTS } from "../../src/demo/demo-fleet.ts";
import { SIMULATED_FLEETS, simulatedFleetFiles } from "../../src/demo/simulated-fleet.ts";
import { parseFleet } from "../../src/fleet/load-fleet.ts";
import { parseSimulatedDevices } from "../../src/neuron/machine/simulated-devices.ts";
import { observedNeuron, plan } from "../controller/observed-fleet-builders.ts";

test.each(Object.entries(SIMULATED_FLEETS))(
  "the files of the fleet %s have no fault, and all that they declare has a place",
  (_name, neurons) => {
    const files = simulatedFleetFiles(DEMO_PORTS, neurons);
    const parsed = parseFleet(Object.entries(files).map(([path, text]) => ({ path, text })));
    if (!parsed.ok) throw new Error(parsed.error.map(({ message }) => message).join("\n"));
    const { fleet } = parsed.value;
    expect(new Set(fleet.neurons.map(({ endpoint }) => endpoint)).size).toBe(neurons.length);
    const observed = neurons.map(({ name, devices }) => {
      const known = parseSimulatedDevices(devices);
      if (!known.ok) throw known.error;
      return observedNeuron(name, { devices: known.value.map(({ vram_total_mb: mib }) => mib) });
    });
    const { changes, unplaced } = plan(fleet, { observedAtMs: 0, neurons: observed });
    expect(unplaced).toEqual([]);
    expect(changes.map(({ model_id: id }) => id).toSorted()).toEqual(
      fleet.models.map(({ id }) => id).toSorted(),
    );
  },
);
