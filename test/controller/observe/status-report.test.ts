import { expect, test } from "vitest";
import { printStatus } from "../../../src/cli/view/status-view.ts";
import { statusReport } from "../../../src/controller/observe/status-report.ts";
import {
  fleetFromToml,
  observedFleet,
  observedNeuron,
  residentModel,
  silentNeuron,
} from "../observed-fleet-builders.ts";

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
const gateway = { url: "http://127.0.0.1:31313", status: "ok", problem: null };

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

test("as text: gateway, neurons with devices and models, models, and the next command when something is missing", () => {
  const report = statusReport({
    fleet,
    observed: observedFleet(left, silentNeuron("right")),
    gateway: { url: "http://127.0.0.1:31313", status: null, problem: "connection refused" },
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
