import { describe, expect, test } from "vitest";
import { modelRows, shortRevision, type ModelRow } from "../../../src/cli/overview/model-rows.ts";
import type { FleetState } from "../../../src/protocol/gateway-api.ts";
import { copy, fleetState, type StatedFleet } from "./fleet-states.ts";

const row = (stated: StatedFleet, id = "m"): ModelRow => {
  const found = modelRows(fleetState(stated)).find((candidate) => candidate.id === id);
  if (found === undefined) throw new Error(`no row of ${id}`);
  return found;
};

const load: FleetState["loads"][number] = {
  model: "m",
  node: "beast",
  state: "loading",
  progress: 0.4,
  waiting: 3,
  elapsed_ms: 1200,
};

const on = (model: Parameters<typeof copy>[0]) => [{ name: "beast", models: [copy(model)] }];

describe("the state of a model", () => {
  test.each<[string, StatedFleet, string, string]>([
    ["declared and there", { declared: { m: 1 }, neurons: on({ id: "m" }) }, "serving", "declared a1b2c3d"],
    [
      "declared and not there",
      { declared: { m: 1 }, neurons: [{ name: "beast" }] },
      "missing",
      "declared, and not loaded",
    ],
    [
      "one of two copies there",
      { declared: { m: 2 }, neurons: [...on({ id: "m" }), { name: "benjy" }] },
      "missing",
      "declared, and not loaded",
    ],
    [
      "perhaps on a neuron that does not answer",
      { declared: { m: 1 }, neurons: [{ name: "beast", health: "unhealthy" }] },
      "unknown",
      "a neuron does not answer",
    ],
    [
      "on demand, cold",
      { declared: { m: 0 }, neurons: [{ name: "beast" }] },
      "cold",
      "on demand, nobody asks",
    ],
    [
      "on demand, there",
      { declared: { m: 0 }, neurons: on({ id: "m", origin: { kind: "request", fleet: "home" } }) },
      "serving",
      "a request asked for it",
    ],
    ["by hand", { declared: {}, neurons: on({ id: "m", origin: { kind: "manual" } }) }, "serving", "by hand"],
    [
      "another fleet's",
      {
        declared: {},
        neurons: on({ id: "m", foreign: true, origin: { kind: "revision", ref: "f00", fleet: "lab" } }),
      },
      "serving",
      "fleet lab",
    ],
    [
      "loaded, and it cannot serve",
      {
        declared: { m: 1 },
        neurons: on({ id: "m", servable: { ok: false, reason: "vram", detail: "out of memory" } }),
      },
      "stuck",
      "beast: out of memory",
    ],
    [
      "on a neuron that drains",
      {
        declared: { m: 1 },
        neurons: on({ id: "m", servable: { ok: false, reason: "draining", detail: "no new work" } }),
      },
      "draining",
      "beast: no new work",
    ],
    [
      "a load under way",
      { declared: { m: 0 }, neurons: [{ name: "beast" }], loads: [load] },
      "loading",
      "3 waiting for loading on beast",
    ],
    [
      "a load that failed",
      {
        declared: { m: 0 },
        neurons: [{ name: "beast" }],
        failed_loads: [
          { model: "m", node: "beast", code: "load_failed", message: "x", times: 2, retry_at_ms: 0 },
        ],
      },
      "failed",
      "load failed on beast: load_failed",
    ],
    [
      "leaving",
      { declared: { m: 0 }, neurons: on({ id: "m", status: "unloading" }) },
      "leaving",
      "not declared any more",
    ],
  ])("%s", (...[, stated, state, why]) => {
    expect(row(stated)).toMatchObject({ state, why });
  });

  test("another fleet's copy is none of those that are declared", () => {
    const foreign = copy({ id: "m", foreign: true });
    expect(row({ declared: { m: 1 }, neurons: [{ name: "beast", models: [foreign] }] }).state).toBe(
      "missing",
    );
  });
});

test("figures are added up over the copies that are seen", () => {
  const busy = copy({ id: "m", tokens_per_sec: 40 });
  const stated: StatedFleet = {
    declared: { m: 2 },
    neurons: [
      { name: "a", models: [busy] },
      { name: "b", models: [copy({ id: "m", tokens_per_sec: 2.5, last_used_ms: 7 })] },
      { name: "c", health: "unhealthy", models: [busy] },
    ],
    queues: [{ model: "m", waiting: 5, longest_wait_ms: 10 }],
  };
  expect(row(stated)).toMatchObject({
    inFlight: 2,
    slots: 8,
    queued: 5,
    tokensPerSec: 42.5,
    memoryMb: 8192,
    state: "serving",
  });
});

test("rows come in order of their ids", () => {
  const state = fleetState({
    declared: { z: 0, a: 0 },
    neurons: [{ name: "n", models: [copy({ id: "k" })] }],
  });
  expect(modelRows(state).map(({ id }) => id)).toEqual(["a", "k", "z"]);
});

test("a commit is shown by its beginning, and files without one by that of their digest", () => {
  expect(["5144ad15aa", "sha256:0f9c8a524c1e", undefined].map(shortRevision)).toEqual([
    "5144ad1",
    "files 0f9c8a5",
    "the files",
  ]);
});
