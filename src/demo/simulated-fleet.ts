import type { DemoPorts } from "./demo-fleet.ts";
import { DEMO_MODEL_ID, DEMO_MODEL_SOURCE } from "./demo-fleet.ts";

/** A neuron of a fleet that is not there. */
export interface SimulatedNeuron {
  readonly name: string;
  /** As `cortex neuron --simulate` takes them. */
  readonly devices: string;
}

/** Fleets that `cortex up --simulate` knows, by name. */
export const SIMULATED_FLEETS: Readonly<Record<string, readonly SimulatedNeuron[]>> = {
  canonical: [
    { name: "beast", devices: "2x32GiB RTX 5090" },
    { name: "benjy", devices: "24GiB RTX 4090" },
    { name: "quadbrat", devices: "12GiB RTX 3060" },
  ],
};

/** The files of a repository for such a fleet: machines of three sizes, and models that fit them. */
export function simulatedFleetFiles(
  ports: DemoPorts,
  neurons: readonly SimulatedNeuron[],
): Readonly<Record<string, string>> {
  const blocks = neurons.map(
    ({ name, devices }, at) => `
[[neurons]]
name = "${name}"                          # simulated: ${devices}
endpoint = "http://127.0.0.1:${ports.neuron + at}"
`,
  );
  return {
    "fleet.toml": `# A fleet that is not there: \`cortex up --simulate\` runs its machines on this one. It is yours to change.

[fleet]
name = "simulated"

[gateway]
listen = "127.0.0.1:${ports.gateway}"
metrics_listen = "127.0.0.1:${ports.metrics}"
${blocks.join("")}`,
    "models.toml": `# vram_mb is what a model would take; the demo model answers for those whose files are not here.

[[models]]
id = "example/flagship-70b"
source = "hf:example/flagship-70b:Q4_K_M"
vram_mb = 45056
min_devices = 2
replicas = 1

[[models]]
id = "example/coder-30b"
source = "hf:example/coder-30b:Q4_K_M"
vram_mb = 18432
replicas = 1

[[models]]
id = "example/small-8b"
source = "hf:example/small-8b:Q4_K_M"
vram_mb = 7168
replicas = 1

[[models]]
id = "${DEMO_MODEL_ID}"
source = "${DEMO_MODEL_SOURCE}"     # a file in the model store; this one ships with cortex
replicas = 1
parallel = 4
capabilities = ["text"]

[aliases]
"demo" = "${DEMO_MODEL_ID}"
`,
  };
}
