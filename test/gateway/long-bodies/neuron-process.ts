import { FakeNeuron, residentModel } from "../../support/neuron/fake-neuron.ts";

/** A neuron in a process of its own: what it does with a long body must not be taken for the gateway's. */
const neuron = await FakeNeuron.start({ models: [residentModel("org/a")] });
process.stdout.write(`${neuron.url}\n`);
