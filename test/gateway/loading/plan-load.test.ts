import { describe, expect, test } from "vitest";
import { CortexError } from "../../../src/core/errors.ts";
import { planLoad, type LoadPlan } from "../../../src/gateway/loading/plan-load.ts";
import { copyKey, initialScheduler, type Scheduler } from "../../../src/gateway/loading/scheduler-state.ts";
import { observeView } from "../../../src/gateway/loading/copy-watch.ts";
import type { ResidentModel } from "../../../src/protocol/neuron-api.ts";
import { residentModel } from "../../support/neuron/fake-neuron.ts";
import { indexOf, viewOf, type NeuronSketch } from "../view-builder.ts";
import { POLICY } from "./simulated-neuron.ts";

const MODEL = { id: "org/m" };
const THREE = { a: {}, b: {}, c: {} };
const MINUTE = 60_000;

const stateOf = (
  neurons: Readonly<Record<string, NeuronSketch>>,
  models: readonly ({ readonly id: string } & Record<string, unknown>)[] = [MODEL],
): Scheduler => {
  const fleet = indexOf(THREE, models);
  return observeView(initialScheduler(POLICY, fleet, viewOf({})), viewOf(neurons), 0);
};

/** After a minute in which nobody used anything. */
const planned = (state: Scheduler, waitedMs = 0): LoadPlan =>
  planLoad(state, { modelId: MODEL.id, waitedMs, deserted: new Set(), atMs: MINUTE }, []);

function inWords(plan: LoadPlan): string {
  if (plan.kind === "refuse") return `refuse ${plan.error.code}`;
  if (plan.kind !== "start") return plan.kind;
  const evicting = plan.evict.length === 0 ? "" : ` without ${plan.evict.join("+")}`;
  return `${plan.joined ? "join" : "load"} ${plan.neuron}${evicting}`;
}

const guest = (id: string, changes: Partial<ResidentModel> = {}): ResidentModel =>
  residentModel(id, { origin: { kind: "request" }, vram_used_mb: 9000, ...changes });
const loading = residentModel("org/m", { status: "loading" });
const unloading = residentModel("org/m", { status: "unloading" });
const declared = residentModel("org/d", { vram_used_mb: 20_000, origin: { kind: "revision" } });

describe("where a model is loaded", () => {
  test.each([
    {
      what: "a load in progress is joined",
      neurons: { a: {}, b: { models: [loading] } },
      expected: "join b",
    },
    {
      what: "but not at a draining neuron",
      neurons: { a: {}, b: { models: [loading], draining: true } },
      expected: "load a",
    },
    {
      what: "most free memory, where its size is not known",
      neurons: { a: { freeMb: [100] }, b: { freeMb: [900] }, c: { freeMb: [500] } },
      expected: "load b",
    },
    {
      what: "least left over, where it is",
      model: { vram_mb: 400 },
      neurons: { a: { freeMb: [100] }, b: { freeMb: [900] }, c: { freeMb: [500] } },
      expected: "load c",
    },
    { what: "ties by name", neurons: THREE, expected: "load a" },
    {
      what: "pinned",
      model: { pinned_on: ["c", "b"] },
      neurons: { a: {}, b: { freeMb: [1] }, c: {} },
      expected: "load c",
    },
    {
      what: "memory over several devices counts for a model that takes several",
      model: { min_devices: 2, vram_mb: 1500 },
      neurons: {
        a: { deviceMb: [1000, 1000], freeMb: [700, 700] },
        b: { deviceMb: [2000, 200], freeMb: [2000, 0] },
      },
      expected: "load b",
    },
    {
      what: "devices under the floor do not count",
      model: { min_device_vram_mb: 20_000 },
      neurons: { a: { deviceMb: [16_000, 16_000] }, b: { deviceMb: [24_000], freeMb: [10] } },
      expected: "load b",
    },
    {
      what: "reserved memory is not free, though the driver still says so",
      neurons: {
        a: { models: [guest("org/x", { status: "loading", vram_used_mb: 20_000 })] },
        b: { freeMb: [9000] },
      },
      expected: "load b",
    },
    {
      what: "not where a copy of it leaves",
      neurons: { a: { models: [unloading] }, b: {} },
      expected: "load b",
    },
    {
      what: "where a copy leaves, it is waited for",
      neurons: { a: { models: [unloading] } },
      expected: "wait",
    },
    {
      what: "on a GPU before a processor with more memory",
      model: { vram_mb: 4000 },
      neurons: { a: { kind: "cpu", deviceMb: [256_000] }, b: { deviceMb: [8000] } },
      expected: "load b",
    },
    {
      what: "on a processor where no GPU has room",
      model: { vram_mb: 4000 },
      neurons: { a: { kind: "cpu", deviceMb: [256_000] }, b: { deviceMb: [8000], models: [declared] } },
      expected: "load a",
    },
    {
      what: "where nobody must leave before where somebody must",
      model: { vram_mb: 18_000 },
      neurons: { a: { freeMb: [15_576], models: [guest("org/g")] }, b: { deviceMb: [48_000] } },
      expected: "load b",
    },
    {
      what: "in the place of an idle guest",
      model: { vram_mb: 18_000 },
      neurons: { a: { freeMb: [15_576], models: [guest("org/g")] } },
      expected: "load a without org/g",
    },
    {
      what: "never in the place of what was applied",
      model: { vram_mb: 18_000 },
      neurons: { a: { freeMb: [4576], models: [declared] } },
      expected: "refuse insufficient_vram",
    },
  ] as const)("$what", ({ neurons, expected, ...rest }) => {
    const model = { ...MODEL, ...("model" in rest ? rest.model : {}) };
    expect(inWords(planned(stateOf(neurons, [model])))).toBe(expected);
  });

  test("a guest at work is asked to finish once it has been here for its time and the other has waited", () => {
    const neurons = { a: { freeMb: [15_576], models: [guest("org/g")], load: { "org/g": 1 } } };
    const state = stateOf(neurons, [{ ...MODEL, vram_mb: 18_000 }]);
    expect(inWords(planned(state, 0))).toBe("wait");
    expect(inWords(planned(state, 5000))).toBe("load a without org/g");
    const young = planLoad(state, { modelId: MODEL.id, waitedMs: 5000, deserted: new Set(), atMs: 5000 }, []);
    expect(inWords(young)).toBe("wait");
  });

  test("a neuron that every waiter found dead is left out, whatever the view says", () => {
    const state = stateOf({ a: { models: [guest("org/m")] }, b: {} });
    expect(inWords(planned(state))).toBe("wait");
    const deserted = new Set(["a"]);
    expect(inWords(planLoad(state, { modelId: MODEL.id, waitedMs: 0, deserted, atMs: MINUTE }, []))).toBe(
      "load b",
    );
  });
});

const failedOn = (code: "source_not_found" | "model_busy", passing: boolean): Scheduler => ({
  ...stateOf({ a: {} }),
  failures: new Map([
    [
      "a org/m",
      {
        modelId: "org/m",
        neuron: "a",
        error: new CortexError(code, "no file /srv/secret/m.gguf"),
        times: 2,
        retryAtMs: MINUTE + 12_000,
        passing,
      },
    ],
  ]),
});

describe("errors of loads", () => {
  test("speak of what the fleet must mend, without paths, and of the next try", () => {
    const plan = planned(failedOn("source_not_found", false));
    if (plan.kind !== "refuse") throw new Error(plan.kind);
    expect(plan.error).toMatchObject({
      code: "load_failed",
      message: "org/m cannot be loaded now: a: its file is not there",
      retryAfterSecs: 12,
    });
    expect(JSON.stringify(plan.error)).not.toContain("/srv");
  });

  test("that pass are waited out", () => {
    expect(inWords(planned(failedOn("model_busy", true)))).toBe("wait");
  });
});

/** Tokens a second that answers of the model have shown. */
const measured = (
  neurons: Readonly<Record<string, NeuronSketch>>,
  speeds: Readonly<Record<string, number>>,
): string => {
  const state = stateOf(neurons);
  const known = new Map(Object.entries(speeds).map(([name, speed]) => [copyKey(name, MODEL.id), speed]));
  return inWords(planned({ ...state, speeds: known }));
};

describe("the faster place", () => {
  test.each([
    {
      what: "as measured, before more memory",
      neurons: { a: { freeMb: [9000] }, b: {} },
      speeds: { a: 90, b: 30 },
      expected: "load a",
    },
    {
      what: "a little faster is no faster",
      neurons: { a: { freeMb: [9000] }, b: {} },
      speeds: { a: 40, b: 30 },
      expected: "load b",
    },
    {
      what: "what was not measured stands to it as its devices do",
      neurons: { a: { kind: "vulkan" }, b: { kind: "cuda", freeMb: [9000] } },
      speeds: { a: 30 },
      expected: "load b",
    },
    {
      what: "measured goes before what the devices let expect",
      neurons: { a: { kind: "vulkan" }, b: { kind: "cuda" } },
      speeds: { a: 90, b: 30 },
      expected: "load a",
    },
  ] as const)("$what", ({ neurons, speeds, expected }) => {
    expect(measured(neurons, speeds)).toBe(expected);
  });

  test("where a load took less time, of those that compute alike", () => {
    const neurons = { a: { loadSecs: { "org/m": 60 } }, b: { loadSecs: { "org/m": 12 }, freeMb: [9000] } };
    expect(measured(neurons, {})).toBe("load b");
    expect(measured(neurons, { a: 90, b: 30 })).toBe("load a");
    const alike = { a: { loadSecs: { "org/m": 13 } }, b: { loadSecs: { "org/m": 12 }, freeMb: [9000] } };
    expect(measured(alike, {})).toBe("load a");
    expect(measured({ a: {}, b: { loadSecs: { "org/m": 500 } } }, {})).toBe("load a");
  });
});
