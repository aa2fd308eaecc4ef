import fc from "fast-check";
import { expect, test } from "vitest";
import { fleetChanges } from "../../../src/gateway/fleet-changes.ts";
import { takeEvent } from "../../../src/page/take-event.ts";
import { RequestRate } from "../../../src/gateway/request-rate.ts";
import {
  applyFleetStateEvent,
  fleetStateEventSchema,
  type FleetNeuronState,
  type FleetState,
} from "../../../src/protocol/gateway-api.ts";
import { indexOf } from "../view-builder.ts";

const neuron = fc.record({
  name: fc.constantFrom("a", "b", "c"),
  endpoint: fc.constant("http://n"),
  health: fc.constantFrom("healthy" as const, "unhealthy" as const),
  misses: fc.nat({ max: 2 }),
  problem: fc.constant(null),
  draining: fc.boolean(),
  last_seen_ms: fc.nat(),
  uptime_secs: fc.nat(),
  generation: fc.nat({ max: 2 }),
  devices: fc.constant<FleetNeuronState["devices"]>([]),
  models: fc.constant<FleetNeuronState["models"]>([]),
});
const load = fc.record({
  model: fc.constantFrom("m", "n"),
  node: fc.constantFrom("a", "b"),
  state: fc.constantFrom("loading", "draining"),
  progress: fc.constantFrom(null, 0.5),
  waiting: fc.nat({ max: 2 }),
  elapsed_ms: fc.nat(),
});
const failed = fc.record({
  model: fc.constant("m"),
  node: fc.constant("a"),
  code: fc.constant("load_failed"),
  message: fc.constant("no"),
  times: fc.integer({ min: 1, max: 3 }),
  retry_at_ms: fc.nat(),
});
const queue = fc.record({ model: fc.constant("m"), waiting: fc.nat({ max: 3 }), longest_wait_ms: fc.nat() });
const worker = fc.record({
  worker: fc.constant(1),
  state: fc.constantFrom("serving" as const, "starting" as const),
  pid: fc.nat({ max: 2 }),
  up_since_ms: fc.constant(1),
  restarts: fc.nat({ max: 1 }),
  requests_in_flight: fc.nat({ max: 2 }),
});
const lone: fc.Arbitrary<FleetState> = fc.record({
  fleet: fc.constantFrom("f", "g"),
  now_ms: fc.nat(),
  health: fc.record({
    status: fc.constantFrom("ok" as const, "degraded" as const),
    nodes: fc.constant({ healthy: 1, total: 1 }),
    models: fc.constant({ declared: 1, loaded: 1 }),
    requests_in_flight: fc.nat({ max: 2 }),
    loads_in_progress: fc.constant(0),
    unservable: fc.constant<FleetState["health"]["unservable"]>([]),
  }),
  neurons: fc.uniqueArray(neuron, { selector: ({ name }) => name }),
  loads: fc.array(load, { maxLength: 2 }),
  queues: fc.array(queue, { maxLength: 1 }),
  failed_loads: fc.array(failed, { maxLength: 1 }),
  declared: fc.constantFrom(indexOf({ a: {} }, []).served, indexOf({ a: {} }, [{ id: "m" }]).served),
  traffic: fc.record({ requests_in_flight: fc.nat({ max: 2 }), requests_per_sec: fc.nat({ max: 2 }) }),
});
/** A gateway is one process all its life, or several. */
const states = fc
  .array(fc.tuple(lone, worker), { minLength: 2, maxLength: 5 })
  .chain((moments) =>
    fc
      .boolean()
      .map((hasWorkers) =>
        moments.map(([state, one]): FleetState => (hasWorkers ? { ...state, workers: [one] } : state)),
      ),
  );

/** Without what only the clock changes, and in no order. */
const essence = (seen: FleetState | null) =>
  seen === null
    ? null
    : {
        ...seen,
        now_ms: 0,
        neurons: seen.neurons
          .map((each) => ({ ...each, last_seen_ms: 0, uptime_secs: 0 }))
          .sort((left, right) => left.name.localeCompare(right.name)),
        loads: seen.loads.map((each) => ({ ...each, elapsed_ms: 0 })),
        queues: seen.queues?.map((each) => ({ ...each, longest_wait_ms: 0 })),
        failed_loads: seen.failed_loads?.map((each) => ({ ...each, retry_at_ms: 0 })),
      };

test("a snapshot and the changes after it add up to what is", () => {
  fc.assert(
    fc.property(states, ([first, ...later]) => {
      let told = first ?? null;
      let seen = told === null ? null : applyFleetStateEvent(null, { kind: "snapshot-taken", state: told });
      for (const next of later) {
        for (const event of told === null ? [] : fleetChanges(told, next)) {
          // The page in a browser puts the parts in their places by code of its own.
          expect(takeEvent(seen, event)).toEqual(applyFleetStateEvent(seen, event));
          seen = applyFleetStateEvent(seen, event);
        }
        told = next;
        expect(essence(seen)).toEqual(essence(next));
      }
    }),
  );
});

test("time alone is no news", () => {
  fc.assert(
    fc.property(lone, fc.nat(), (now, later) => {
      const after: FleetState = {
        ...now,
        now_ms: later,
        neurons: now.neurons.map((each) => ({ ...each, last_seen_ms: later, uptime_secs: later })),
        loads: now.loads.map((each) => ({ ...each, elapsed_ms: later })),
      };
      expect(fleetChanges(now, after)).toEqual([]);
    }),
  );
});

test("every event has its schema's shape over the wire", () => {
  const event = { kind: "neuron-removed", name: "a" };
  expect(fleetStateEventSchema.parse(JSON.parse(JSON.stringify(event)))).toEqual(event);
});

test("the rate is that of the last ten seconds", () => {
  const rate = new RequestRate();
  for (let at = 0; at < 20; at += 1) rate.count(1000 + at * 100);
  expect(rate.perSecond(3000)).toBe(2);
  expect(rate.perSecond(11_500)).toBe(1);
  expect(rate.perSecond(60_000)).toBe(0);
  rate.count(61_000);
  expect(rate.perSecond(61_000)).toBe(0.1);
});
