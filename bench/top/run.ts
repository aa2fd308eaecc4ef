import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { readFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { FleetFeed } from "../../src/gateway/io/fleet-feed.ts";
import { systemClock } from "../../src/platform/system-clock.ts";
import { fleetStateSchema, type FleetState } from "../../src/protocol/gateway-api.ts";
import { Terminal } from "../../test/support/terminal.ts";
import { machineLine } from "../support/report.ts";

/*
 * What `cortex top` costs: 100 neurons with 1,000 models, told by the gateway's own feed as often as it tells anything,
 * twice a second. Processor time of the process over 10 s, in a real terminal, beside a fleet in which nothing happens.
 * `calm`: a tenth of the neurons changes each time; `storm`: all of them do. Build first.
 */

const NEURONS = 100;
const COPIES_PER_NEURON = 10;
const MEASURED_MS = 10_000;
const BAR_PERCENT = 5;
const TICKS_PER_SECOND = 100;

const GIB = 1024;
const BEGAN_MS = Date.now();

function fleetAt(round: number, changing: number): FleetState {
  const isBusy = (at: number): number => (at < changing ? (round + at) % 4 : 1);
  const neurons = Array.from({ length: NEURONS }, (_, at) => ({
    name: `neuron-${String(at).padStart(3, "0")}`,
    endpoint: `http://neuron-${at}:13131`,
    health: "healthy",
    misses: 0,
    problem: null,
    draining: false,
    last_seen_ms: Date.now(),
    uptime_secs: round,
    generation: 7,
    devices: [0, 1].map((index) => ({
      index,
      uuid: `GPU-${at}-${index}`,
      kind: "simulated",
      name: "RTX 5090",
      vram_total_mb: 32 * GIB,
      compute_capability: null,
      vram_used_mb: 26 * GIB + isBusy(at) * 100,
      vram_free_mb: 6 * GIB,
      utilization_pct: isBusy(at) * 25,
      temp_c: 60 + isBusy(at),
    })),
    models: Array.from({ length: COPIES_PER_NEURON }, (__, of) => ({
      id: `org/model-${String(at * COPIES_PER_NEURON + of).padStart(4, "0")}`,
      status: "loaded",
      devices: [of % 2],
      vram_used_mb: 5 * GIB,
      servable: { ok: true },
      load: {
        id: `org/model-${at * COPIES_PER_NEURON + of}`,
        in_flight: isBusy(at),
        queue_depth: 0,
        max_in_flight: 4,
        max_queue_depth: 16,
        rejected_queue_full: 0,
      },
      outstanding: isBusy(at),
      tokens_per_sec: 40 + isBusy(at),
      origin: { kind: "revision", ref: "a1b2c3d4e5f6", fleet: "large" },
      // Of a neuron on which nothing happens nothing is different, this included.
      last_used_ms: BEGAN_MS + (at < changing ? round * 500 : 0),
    })),
  }));
  return fleetStateSchema.parse({
    fleet: "large",
    now_ms: Date.now(),
    health: {
      status: "ok",
      nodes: { healthy: NEURONS, total: NEURONS },
      models: { declared: NEURONS * COPIES_PER_NEURON, loaded: NEURONS * COPIES_PER_NEURON },
      requests_in_flight: 100,
      loads_in_progress: 0,
      unservable: [],
    },
    neurons,
    loads: [],
    queues: [],
    failed_loads: [],
    declared: {
      models: neurons.flatMap(({ models }) => models.map(({ id }) => ({ id, replicas: 1 }))),
    },
    traffic:
      changing === 0
        ? { requests_in_flight: 0, requests_per_sec: 0 }
        : {
            requests_in_flight: round % 100,
            requests_per_sec: 50 + (round % 7),
            tokens_per_sec: 2000 + (round % 90),
            first_token_ms: { p50: 80 + (round % 9), p95: 400 + (round % 50) },
            errors_per_min: round % 3,
          },
  });
}

const requests = Array.from({ length: 200 }, (_, at) => ({
  request_id: `request-${at}`,
  started_at_ms: Date.now() - at * 100,
  duration_ms: 900,
  route: "/v1/chat/completions",
  model: `org/model-${at}`,
  node: "neuron-000",
  key: "team-a",
  stream: true,
  status: 200,
  code: null,
  retries: 0,
  cold_start: false,
  first_token_ms: 80,
}));

/** A gateway as far as `top` asks one, with the feed that the real one has. */
async function startGateway(changing: number) {
  let round = 0;
  const feed = new FleetFeed({
    clock: systemClock,
    observe: () => {
      round += 1;
      return fleetAt(changing === 0 ? 0 : round, changing);
    },
  });
  const server = createServer((request, response) => {
    if (request.url === "/fleet/events") {
      void feed.follow(response, { lastEventId: undefined, headers: {} });
      return;
    }
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify({ requests, kept: 1000 }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () => {
      feed.close();
      server.closeAllConnections();
      server.close();
    },
  };
}

/** Processor seconds of a process so far. */
async function processorSecs(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

async function measured(changing: number, columns: number, rows: number): Promise<number> {
  const gateway = await startGateway(changing);
  try {
    await using terminal = await Terminal.open(
      ["top", "--gateway", gateway.url, "--config", "/nonexistent"],
      {
        columns,
        rows,
      },
    );
    await terminal.shows(/models 1000/);
    const pid = await terminal.processId();
    // What is compiled while it starts is no part of how it goes on.
    await delay(5000);
    const [before, startedMs] = [await processorSecs(pid), performance.now()];
    await delay(MEASURED_MS);
    return ((await processorSecs(pid)) - before) / ((performance.now() - startedMs) / 1000);
  } finally {
    gateway.close();
  }
}

const CASES = [
  { name: "nothing happens", changing: 0 },
  { name: "calm: 10 neurons change each half second", changing: NEURONS / 10 },
  { name: "storm: 100 neurons change each half second", changing: NEURONS },
];

process.stdout.write(`${machineLine()}\n`);
process.stdout.write(
  `cortex top, ${NEURONS} neurons, ${NEURONS * COPIES_PER_NEURON} models, events twice a second; the bar is ${BAR_PERCENT} % of a core\n`,
);
let worst = 0;
for (const { name, changing } of CASES) {
  for (const [columns, rows] of [
    [80, 24],
    [200, 60],
  ] as const) {
    const share = 100 * (await measured(changing, columns, rows));
    worst = Math.max(worst, share);
    process.stdout.write(
      `${name.padEnd(44)}${`${columns}x${rows}`.padEnd(8)}${share.toFixed(1).padStart(5)} % of a core\n`,
    );
  }
}
process.exitCode = worst < BAR_PERCENT ? 0 : 1;
