// A neuron in a process of its own that loads what it is told and is then killed: `node left-neuron.ts STATE STORE ID...`,
// where a whole spec may stand in the place of an id.
// Prints one line once all are loaded, with its address. With the real worker, which lives on for 20 s.
import { pino } from "pino";
import { startNeuron } from "../../../src/neuron/io/start-neuron.ts";
import { systemClock } from "../../../src/platform/system-clock.ts";

const [stateDirectory = "", store = "", ...ids] = process.argv.slice(2);
const neuron = await startNeuron(
  {
    host: "127.0.0.1",
    port: 0,
    modelRoots: [store],
    nvidiaSmi: "no-such-nvidia-smi",
    stateDirectory,
    engines: [process.execPath],
    orphanGraceMs: 20_000,
  },
  { clock: systemClock, logger: pino({ level: "silent" }) },
);
const base = `http://127.0.0.1:${neuron.address.port}`;
for (const id of ids) {
  await fetch(`${base}/models/load?wait=1`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: id.startsWith("{") ? id : JSON.stringify({ model_id: id, context: 512 }),
  });
}
process.stdout.write(`${base}\n`);
