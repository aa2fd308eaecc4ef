import { expect, test } from "vitest";
import { printStatus } from "../../../src/cli/view/status-view.ts";
import type { GatewayWorker } from "../../../src/protocol/gateway-api.ts";
import type { LoopsHeld } from "../../../src/protocol/status-report.ts";
import { statusReport } from "../../../src/controller/observe/status-report.ts";
import {
  fleetFromToml,
  observedFleet,
  observedNeuron,
  residentModel,
  silentNeuron,
} from "../observed-fleet-builders.ts";

const QUIET = { reasons: [], work: null, work_problem: null };

const MODELS = `
[[models]]
id = "a/resident"
replicas = 1
[[models]]
id = "b/on-demand"
[[models]]
id = "c/absent"
replicas = 2
`;
const fleet = fleetFromToml(MODELS, ["left", "right"]);
const gateway = { url: "http://127.0.0.1:31313", status: "ok", problem: null, ...QUIET };

const left = observedNeuron("left", {
  devices: [24_000],
  residents: [
    residentModel({ id: "a/resident", vramMb: 8000 }),
    residentModel({ id: "x/stranger", vramMb: 100 }),
    residentModel({ id: "c/absent", vramMb: 500, status: "loading" }),
  ],
});

test("each model is held against what is declared of it", () => {
  const report = statusReport({
    fleet,
    observed: observedFleet(left, observedNeuron("right", { devices: [1] })),
    gateway,
  });
  expect(report.models.map(({ id, declared, loaded_on, state }) => [id, declared, loaded_on, state])).toEqual(
    [
      ["a/resident", 1, ["left"], "resident"],
      ["b/on-demand", 0, [], "on_demand"],
      ["c/absent", 2, [], "loading"],
      ["x/stranger", null, ["left"], "undeclared"],
    ],
  );
});

test("while a neuron is silent a copy that is not seen is unknown, not missing", () => {
  const empty = observedNeuron("left", { devices: [1] });
  const partial = statusReport({ fleet, observed: observedFleet(empty, silentNeuron("right")), gateway });
  expect(partial.models.map(({ state }) => state)).toEqual(["unknown", "on_demand", "unknown"]);
  const whole = statusReport({
    fleet,
    observed: observedFleet(empty, observedNeuron("right", { devices: [1] })),
    gateway,
  });
  expect(whole.models.map(({ state }) => state)).toEqual(["missing", "on_demand", "missing"]);
});

test("as text: what is on its way, who waits, what failed and when it is tried again", () => {
  const work = {
    now_ms: 1000,
    loads: [
      {
        model: "m",
        node: "n1",
        state: "loading",
        progress: 0.4,
        waiting: 3,
        elapsed_ms: 10,
        evict: ["old"],
      },
    ],
    queues: [
      { model: "m", waiting: 3, longest_wait_ms: 900 },
      { model: "busy", waiting: 2, longest_wait_ms: 11_900 },
    ],
    failed_loads: [
      {
        model: "x",
        node: "n2",
        code: "source_not_found",
        message: "no /srv/x.gguf",
        times: 2,
        retry_at_ms: 31_000,
      },
    ],
  };
  const reasons = ["connections are refused: 3 a second of late"];
  const report = {
    fleet: "f",
    gateway: { ...gateway, reasons, work },
    loops: { hold: null, problem: null },
    neurons: [],
    models: [],
  };
  expect(printStatus(report, { colour: false }).split("\n\n")[1]).toBe(
    [
      "gateway  http://127.0.0.1:31313  ok",
      "  connections are refused: 3 a second of late",
      "  loading  m on n1  loading 40 %, 3 waiting, in the place of old",
      "  waiting  busy  2 waiting, the first for 12 s",
      "  failed   x on n2  2 times; not tried again for 30 s",
      "    source_not_found: no /srv/x.gguf",
    ].join("\n"),
  );
});

const worker = {
  worker: 1,
  state: "serving" as const,
  pid: 4711,
  up_since_ms: 1000,
  restarts: 0,
  requests_in_flight: 3,
};

test("as text: the processes of a gateway that has several, and who of them does not serve", () => {
  const work = { now_ms: 251_000, loads: [] };
  const textOf = (workers: readonly GatewayWorker[]) =>
    printStatus(
      statusReport({ fleet, observed: observedFleet(left), gateway: { ...gateway, work, workers } }),
      {
        colour: false,
      },
    ).split("\n\n")[1];
  expect(textOf([worker, { ...worker, worker: 2, up_since_ms: 250_000, restarts: 1 }])).toBe(
    [
      "gateway  http://127.0.0.1:31313  ok  2 workers",
      "  worker 1  pid 4711, up 4 m 10 s, 3 in flight",
      "  worker 2  pid 4711, up 1.0 s, 3 in flight, restarted once",
    ].join("\n"),
  );
  const down = { state: "down" as const, pid: null, up_since_ms: null, restarts: 2, requests_in_flight: 0 };
  expect(textOf([worker, { ...worker, worker: 2, ...down }])).toBe(
    [
      "gateway  http://127.0.0.1:31313  ok  1 of 2 workers serve",
      "  worker 1  pid 4711, up 4 m 10 s, 3 in flight",
      "  worker 2  down, 0 in flight, restarted 2 times",
    ].join("\n"),
  );
});

const told = (loops: LoopsHeld): string =>
  printStatus(statusReport({ fleet, observed: observedFleet(left), gateway, loops }), { colour: false });

test("as text: who suspended the loops is said beside the gateway, and nothing where nobody did", () => {
  const hold = "suspended by ann@laptop until somebody resumes: new cards";
  expect(told({ hold, problem: null })).toContain(`\nloops    ${hold}\n`);
  expect(told({ hold: null, problem: "the remote does not answer" })).toContain(
    "\nloops    whether they are held back: the remote does not answer\n",
  );
  expect(told({ hold: null, problem: null })).not.toContain("loops");
});

test("as text: gateway, neurons with devices and models, models, and the next command when something is missing", () => {
  const report = statusReport({
    fleet,
    observed: observedFleet(left, silentNeuron("right")),
    gateway: { url: "http://127.0.0.1:31313", status: null, problem: "connection refused", ...QUIET },
  });
  const text = printStatus(report, { colour: false });
  expect(text).toContain("gateway  http://127.0.0.1:31313  unreachable (connection refused)");
  expect(text).toMatch(
    /neuron {3}left .*ok\n {2}simulated:0 .* of 23\.4 GiB used\n {4}a\/resident {2}loaded {2}7\.8 GiB {2}0 in flight/,
  );
  expect(text).toMatch(/neuron {3}right .*unreachable \(connection refused\)/);
  expect(text).toMatch(/x\/stranger +not declared +1\/- +left/);
  expect(text).not.toContain("Next:");
  const missing = statusReport({
    fleet,
    observed: observedFleet(observedNeuron("left", { devices: [1] })),
    gateway,
  });
  expect(printStatus(missing, { colour: false })).toContain("Next: cortex plan");
});

test("a copy of this fleet's name is not called missing where nobody can tell whose it is", () => {
  const resident = residentModel({ id: "a/resident", vramMb: 8000, fleet: "home#root-0123456789ab" });
  const observed = observedFleet(observedNeuron("left", { devices: [24_000], residents: [resident] }));
  const stateOf = (isOwnerUnknown: boolean) =>
    statusReport({ fleet, observed, gateway, isOwnerUnknown }).models.find(({ id }) => id === "a/resident")
      ?.state;
  expect([stateOf(true), stateOf(false)]).toEqual(["unknown", "missing"]);
});
