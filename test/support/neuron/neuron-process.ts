// A neuron with one loaded model in a process of its own, for tests that kill it; prints the worker's process id.
import { writeFakeModel } from "./fake-worker-model.ts";
import { startTestNeuron } from "./neuron-under-test.ts";

const neuron = await startTestNeuron();
writeFakeModel(neuron.store, "alpha");
await neuron.load({ model_id: "alpha" });
const { models } = await neuron.models();
process.stdout.write(`${JSON.stringify({ workerPid: models[0]?.pid, store: neuron.store })}\n`);
