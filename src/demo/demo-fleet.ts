import { connectionText } from "../client/connection-text.ts";

/** Where the demo stack listens; all on loopback. */
export interface DemoPorts {
  readonly gateway: number;
  readonly metrics: number;
  readonly neuron: number;
}

export const DEMO_PORTS: DemoPorts = { gateway: 31_313, metrics: 31_314, neuron: 13_131 };
export const DEMO_MODEL_ID = "cortex/demo";
/** Name of the demo model's file in the model store, without the extension. */
export const DEMO_MODEL_SOURCE = "cortex-demo";

/** The files of the demo fleet repository, by name: small enough to read whole, real enough to grow from. */
export function demoFleetFiles(ports: DemoPorts): Readonly<Record<string, string>> {
  return {
    "fleet.toml": `# A fleet of one machine: this one. \`cortex up\` made it; it is yours to change.
# After an edit: cortex plan --config .    and then    cortex apply --config .

[fleet]
name = "demo"

[gateway]
listen = "127.0.0.1:${ports.gateway}"
metrics_listen = "127.0.0.1:${ports.metrics}"

[[neurons]]
name = "local"
endpoint = "http://127.0.0.1:${ports.neuron}"
`,
    "models.toml": `# What the fleet offers. replicas = 1 keeps a copy loaded; 0 loads it when it is first asked for.

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

/** What a newcomer can do next, once the demo answers. */
export function usageText(options: {
  readonly baseUrl: string;
  readonly metricsUrl: string;
  readonly directory: string;
}): string {
  return `cortex is up. Ctrl-C stops everything.

${connectionText({ baseUrl: options.baseUrl, model: DEMO_MODEL_ID })}
  page      ${options.baseUrl}/ui
  status    npx cortex status --config ${options.directory}
  change    edit ${options.directory}/models.toml, then npx cortex plan --config ${options.directory}
  metrics   curl -s ${options.metricsUrl}`;
}
