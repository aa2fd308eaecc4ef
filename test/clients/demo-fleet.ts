import { fileURLToPath } from "node:url";
import { request } from "undici";
import { requestListSchema } from "../../src/protocol/request-explanation.ts";
import { applyFleet, sourceOf, startFleet } from "../support/fleet/running-fleet.ts";

const DEMO_MODEL = fileURLToPath(new URL("../../assets/demo/cortex-demo.gguf", import.meta.url));

export interface DemoFleet extends AsyncDisposable {
  readonly gatewayUrl: string;
  readonly neuronUrl: string;
  /** What became of each request: `answered`, or the code of its error. */
  outcomes(): Promise<readonly string[]>;
}

/** The demo model behind gateway and neuron, as `cortex up` runs them; with a wider window it writes no better. */
export async function startDemoFleet(context?: number): Promise<DemoFleet> {
  const fleet = await startFleet({
    neuronNames: ["local"],
    modelPath: DEMO_MODEL,
    models: `[[models]]
id = "cortex/demo"
source = "${sourceOf(DEMO_MODEL)}"
replicas = 1
parallel = 1
${context === undefined ? "" : `context = ${context}`}
`,
  });
  await applyFleet(fleet);
  return {
    gatewayUrl: fleet.gatewayUrl,
    neuronUrl: fleet.neuronUrls["local"] ?? "",
    outcomes: async () => {
      const answer = await request(`${fleet.gatewayUrl}/fleet/requests?limit=200`);
      const { requests } = requestListSchema.parse(await answer.body.json());
      return requests.map(({ status, code }) =>
        status === 200 ? "answered" : (code ?? `HTTP ${String(status)}`),
      );
    },
    [Symbol.asyncDispose]: () => fleet[Symbol.asyncDispose](),
  };
}
