import { parseArgs } from "node:util";
import { runGatewayChaos } from "./gateway-chaos.ts";

/** node test/chaos/run-gateways.ts --seconds 60 --clients 200 --seed 1: the figures as JSON. Build first. */
const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "60" },
    clients: { type: "string", default: "200" },
    gateways: { type: "string", default: "3" },
    neurons: { type: "string", default: "4" },
    seed: { type: "string", default: "1" },
  },
});
const figures = await runGatewayChaos({
  seconds: Number(values.seconds),
  clients: Number(values.clients),
  gateways: Number(values.gateways),
  neurons: Number(values.neurons),
  seed: Number(values.seed),
  onProgress: (line) => process.stderr.write(`${line}\n`),
});
process.stdout.write(`${JSON.stringify(figures, undefined, 2)}\n`);
