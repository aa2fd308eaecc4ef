import { expect, test } from "vitest";
import { fleetNews } from "../../src/page/fleet-news.ts";
import type { FleetState } from "../../src/protocol/gateway-api.ts";
import { declaring, fleetStateOf, modelState, neuronState } from "./fleet-state.ts";

const fleet = (changes: Partial<FleetState>) => fleetStateOf(changes);
const with1 = (changes: Parameters<typeof neuronState>[1]) => fleet({ neurons: [neuronState("n", changes)] });
const withModel = (changes: Parameters<typeof modelState>[1]) =>
  with1({ models: [modelState("m", changes)] });

const load = { model: "m", node: "n", state: "requested", progress: null, waiting: 2, elapsed_ms: 0 };
const failed = { model: "m", node: "n", code: "load_failed", message: "no memory", times: 1, retry_at_ms: 0 };

const CASES: readonly (readonly [before: FleetState, after: FleetState, news: readonly string[]])[] = [
  [with1({}), with1({ health: "unhealthy", problem: "refused" }), ["bad n does not answer: refused"]],
  [with1({ health: "unhealthy" }), with1({}), ["good n answers"]],
  [with1({}), with1({ draining: true }), ["plain n drains: it takes no new work"]],
  [fleet({}), with1({}), ["plain n is declared"]],
  [with1({}), fleet({}), ["plain n is declared no more"]],
  [with1({}), withModel({ status: "loading" }), ["plain m on n is loading"]],
  [withModel({ status: "loading" }), withModel({}), ["good m on n is loaded"]],
  [withModel({}), with1({}), ["plain m on n is unloaded"]],
  [
    withModel({}),
    withModel({ servable: { ok: false, detail: "its worker is wedged" } }),
    ["bad m on n cannot serve: its worker is wedged"],
  ],
  [withModel({}), withModel({ left_out: true }), ["bad m on n fails of late and is left out"]],
  [
    fleet({}),
    fleet({ loads: [{ ...load, evict: ["old", "older"] }] }),
    ["plain m on n was asked for, in the place of old and older; 2 requests waiting"],
  ],
  [fleet({ loads: [load] }), fleet({ loads: [{ ...load, progress: 0.5 }] }), []],
  [fleet({}), fleet({ failed_loads: [failed] }), ["bad m on n could not be loaded: no memory"]],
  [fleet({ failed_loads: [failed] }), fleet({ failed_loads: [{ ...failed, retry_at_ms: 9 }] }), []],
  [fleet({}), fleet({ declared: declaring({ m: 1 }) }), ["plain home follows other fleet files now"]],
  // What only counts is no news.
  [withModel({}), withModel({ outstanding: 4, tokens_per_sec: 30 }), []],
  // A silent neuron has not unloaded anything.
  [withModel({}), with1({ health: "unhealthy", models: [] }), ["bad n does not answer"]],
];

test.each(CASES)("%#", (before, after, news) => {
  expect(fleetNews(before, after).map(({ tone, subject, text }) => `${tone} ${subject} ${text}`)).toEqual(
    news,
  );
});
