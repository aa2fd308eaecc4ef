import { parseArgs } from "node:util";
import { runChaos } from "./chaos-run.ts";

/** node test/chaos/run.ts --seconds 60 --clients 24 --neurons 2 --seed 1: the figures as JSON. Build first. */
const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "60" },
    clients: { type: "string", default: "24" },
    neurons: { type: "string", default: "2" },
    seed: { type: "string", default: "1" },
  },
});
const figures = await runChaos({
  seconds: Number(values.seconds),
  clients: Number(values.clients),
  neurons: Number(values.neurons),
  seed: Number(values.seed),
  onProgress: (line) => process.stderr.write(`${line}\n`),
});
process.stdout.write(`${JSON.stringify(figures, undefined, 2)}\n`);
