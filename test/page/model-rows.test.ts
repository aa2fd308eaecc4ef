import { describe, expect, test } from "vitest";
import { modelRows } from "../../src/page/model-rows.ts";
import type { FleetState } from "../../src/protocol/gateway-api.ts";
import { declaring, fleetStateOf, modelState, neuronState } from "./fleet-state.ts";

const load: FleetState["loads"][number] = {
  model: "org/a",
  node: "n",
  state: "loading",
  progress: 0.4,
  waiting: 1,
  elapsed_ms: 2000,
};
const failure = { model: "org/a", node: "n", code: "load_failed", message: "no", times: 1, retry_at_ms: 0 };
const at = (changes: Parameters<typeof neuronState>[1]) => [neuronState("n", changes)];
const loaded = at({ models: [modelState("org/a")] });
const unable = at({ models: [modelState("org/a", { servable: { ok: false, reason: "wedged" } })] });

const standings: readonly {
  readonly what: string;
  readonly wanted: number;
  readonly state: Partial<FleetState>;
}[] = [
  { what: "ready", wanted: 1, state: { neurons: loaded } },
  { what: "partly", wanted: 2, state: { neurons: loaded } },
  { what: "loading", wanted: 0, state: { loads: [load] } },
  {
    what: "loading",
    wanted: 1,
    state: { neurons: at({ models: [modelState("org/a", { status: "loading" })] }) },
  },
  { what: "failed", wanted: 1, state: { failed_loads: [failure] } },
  { what: "missing", wanted: 1, state: {} },
  { what: "idle", wanted: 0, state: {} },
  { what: "broken", wanted: 1, state: { neurons: unable } },
  {
    what: "broken",
    wanted: 1,
    state: { neurons: at({ health: "unhealthy", models: [modelState("org/a")] }) },
  },
];

describe("how a model stands", () => {
  test.each(standings)("$what", ({ what, wanted, state }) => {
    const [row] = modelRows(fleetStateOf({ ...state, declared: declaring({ "org/a": wanted }) }));
    expect(row?.standing).toBe(what);
  });
});

test("one row for each model that is declared, there, or on its way, with its copies, aliases and queue", () => {
  const rows = modelRows(
    fleetStateOf({
      neurons: [
        neuronState("n1", {
          models: [
            modelState("org/a", {
              load: {
                id: "org/a",
                in_flight: 3,
                queue_depth: 2,
                max_in_flight: 4,
                max_queue_depth: 8,
                rejected_queue_full: 0,
              },
              tokens_per_sec: 52.5,
            }),
          ],
        }),
        neuronState("n2", { models: [modelState("org/guest", { left_out: true })], draining: false }),
      ],
      loads: [{ ...load, model: "org/late" }],
      queues: [{ model: "org/a", waiting: 5, longest_wait_ms: 10 }],
      declared: declaring({ "org/a": 1 }, { small: "org/a", other: "org/z" }),
    }),
  );
  expect(rows.map(({ id, wanted }) => [id, wanted])).toEqual([
    ["org/a", 1],
    ["org/guest", null],
    ["org/late", null],
  ]);
  expect(rows[0]).toMatchObject({
    aliases: ["small"],
    waiting: 5,
    copies: [{ neuron: "n1", inFlight: 3, queued: 2, slots: 4, tokensPerSec: 52.5, trouble: null }],
  });
  expect(rows[1]?.copies[0]?.trouble).toBe("it fails of late and is left out");
});
