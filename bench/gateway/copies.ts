import { writeFile } from "node:fs/promises";
import { cpus, loadavg } from "node:os";
import { fileURLToPath } from "node:url";
import { reduceScheduler } from "../../src/gateway/loading/scheduler.ts";
import {
  copyKey,
  initialScheduler,
  type CopyWatch,
  type Scheduler,
} from "../../src/gateway/loading/scheduler-state.ts";
import { initialFleetView } from "../../src/gateway/view/fleet-view.ts";
import { POLICY } from "../../test/gateway/loading/simulated-neuron.ts";
import { indexOf } from "../../test/gateway/view-builder.ts";

/*
 * What it costs to count a request in and out, by the number of copies that the fleet has loaded: processor time of the
 * scheduler's reducer for both events, least of five rounds. It must hardly grow with the fleet.
 *   node bench/gateway/copies.ts [--write]
 */

const SIZES = [10, 100, 1000, 10_000];
const REQUESTS = 5000;
const ROUNDS = 5;

const place = (at: number) => ({ neuron: `neuron-${at % 100}`, modelId: `model-${at}` });
const keyAt = (at: number): string => copyKey(place(at).neuron, place(at).modelId);

/** Every copy has been measured, and every third one works. */
function fleetOf(copies: number): Scheduler {
  const all = Array.from({ length: copies }, (_, at) => at);
  const idle: CopyWatch = { loadedSinceMs: 0, idleSinceMs: 0, lastUsedMs: null };
  return {
    ...initialScheduler(POLICY, indexOf({}, []), initialFleetView([])),
    copies: new Map(all.map((at) => [keyAt(at), idle])),
    speeds: new Map(all.map((at) => [keyAt(at), 10])),
    inFlight: new Map(all.filter((at) => at % 3 === 0).map((at) => [keyAt(at), 2])),
    demand: new Map(all.map((at) => [place(at).modelId, { score: 1, atMs: 0 }])),
  };
}

function microsecondsEach(copies: number): number {
  let state = fleetOf(copies);
  let least = Infinity;
  for (let round = 0; round < ROUNDS; round += 1) {
    const before = process.cpuUsage();
    for (let request = 0; request < REQUESTS; request += 1) {
      const at = place((request * 7919) % copies);
      ({ state } = reduceScheduler(state, { kind: "request-entered", ...at, atMs: request }));
      const end = { outcome: "served", tokensPerSec: 20 } as const;
      ({ state } = reduceScheduler(state, { kind: "place-freed", ...at, ...end, atMs: request }));
    }
    const { user, system } = process.cpuUsage(before);
    least = Math.min(least, (user + system) / REQUESTS);
  }
  return least;
}

const lines = [
  `${cpus()[0]?.model.trim()}, Node ${process.version}, load average ${loadavg()[0]?.toFixed(1)}`,
  "copies  us of CPU a request",
  ...SIZES.map(
    (copies) => `${String(copies).padStart(6)}  ${microsecondsEach(copies).toFixed(1).padStart(19)}`,
  ),
];
console.log(lines.join("\n"));
if (process.argv.includes("--write")) {
  await writeFile(fileURLToPath(new URL("copies.txt", import.meta.url)), `${lines.join("\n")}\n`);
}
