import { readEngineDevices } from "../engine/io/llama-binary.ts";

/**
 * Says on one line which GPUs the engine finds, and ends: a driver that crashes or hangs while it is looked at takes this
 * process along and not the neuron.
 */
const devices = await readEngineDevices();
process.stdout.write(`${JSON.stringify(devices)}\n`, () => process.exit(0));
