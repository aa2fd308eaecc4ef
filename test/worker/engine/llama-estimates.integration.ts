import { getLlama, GgufInsights, LlamaLogLevel } from "node-llama-cpp";
import { expect, test, vi } from "vitest";
import { estimateFromHeader } from "../../../src/worker/engine/io/llama-native-context.ts";
import { tinyModelFile } from "../../support/neuron/tiny-model.ts";

interface Insights {
  _createSimulatorSession: (this: Insights) => {
    _loadModel: (...given: readonly unknown[]) => Promise<unknown>;
  };
}

const insights = GgufInsights.prototype as unknown as Insights;
// oxlint-disable-next-line no-underscore-dangle -- the binding's own name
const createSession = insights._createSimulatorSession;
let loads = 0;

/** How often the binding loads the model only to learn how much memory it would take. */
async function simulatedLoads(): Promise<number> {
  loads = 0;
  const llama = await getLlama({
    build: "never",
    skipDownload: true,
    progressLogs: false,
    gpu: false,
    logLevel: LlamaLogLevel.error,
  });
  const model = await llama.loadModel({ modelPath: await tinyModelFile() });
  await model.createContext({ contextSize: 256, sequences: 2 });
  await llama.dispose();
  return loads;
}

test("estimates from the header load no model", async () => {
  vi.spyOn(insights, "_createSimulatorSession").mockImplementation(function (this: Insights) {
    const session = createSession.call(this);
    // oxlint-disable-next-line no-underscore-dangle -- the binding's own name
    const load = session._loadModel.bind(session);
    return Object.assign(session, {
      _loadModel: (...given: readonly unknown[]) => {
        loads += 1;
        return load(...given);
      },
    });
  });
  // Should this be 0, the binding has changed, and the place in it has moved or is no longer needed.
  expect(await simulatedLoads()).toBeGreaterThan(0);
  estimateFromHeader();
  expect(await simulatedLoads()).toBe(0);
  vi.restoreAllMocks();
});
