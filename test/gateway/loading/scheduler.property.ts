import fc from "fast-check";
import { expect, test } from "vitest";
import { reduceScheduler } from "../../../src/gateway/loading/scheduler.ts";
import { FleetModel } from "./fleet-model.ts";
import { POLICY } from "./simulated-neuron.ts";
import type { Request } from "./simulated-request.ts";

const MODELS = [
  { id: "a", mib: 80, loadMs: 1000 },
  { id: "b", mib: 80, loadMs: 2500 },
  { id: "c", mib: 40, loadMs: 500, priority: 50 },
  { id: "d", mib: 40, loadMs: 500, replicas: 1 },
  { id: "e", mib: 150, loadMs: 6000, priority: 200 },
  { id: "f", mib: 20, loadMs: 300, idleUnloadSecs: 5 },
] as const;
const NEURONS = { n: 100, o: 160 };

const modelId = fc.constantFrom(...MODELS.map(({ id }) => id));
const neuron = fc.constantFrom<"n" | "o">("n", "o");
const pick = fc.nat();
const command = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant("ask" as const),
      modelId,
      principal: fc.constantFrom("p", "q", "r"),
      serveMs: fc.constantFrom(100, 900, 4000, 45_000),
      patienceMs: fc.constantFrom(1000, 20_000, 300_000),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({ do: fc.constant("pass" as const), ms: fc.constantFrom(100, 400, 2000) }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("finish" as const), pick }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("leave" as const), pick }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("place" as const), modelId, neuron, byApply: fc.boolean() }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("take away" as const), modelId, neuron }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("break" as const), modelId, neuron }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("mend" as const), neuron }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant("turn" as const), modelId, neuron, fails: fc.boolean() }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("see" as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("wish" as const),
      modelId,
      keepMs: fc.constantFrom(0, 3000, Infinity),
    }),
  },
);
type Command = typeof command extends fc.Arbitrary<infer Value> ? Value : never;

const one = (requests: readonly Request[], at: number): Request | undefined =>
  requests.length === 0 ? undefined : requests[at % requests.length];

function play(fleet: FleetModel, step: Command): void {
  switch (step.do) {
    case "ask":
      fleet.ask(step.modelId, step);
      return;
    case "pass":
      fleet.pass(step.ms);
      return;
    case "see":
      fleet.see();
      return;
    case "wish":
      wish(fleet, step);
      return;
    case "finish":
    case "leave":
      endOne(fleet, step);
      return;
    case "place":
    case "take away":
    case "break":
    case "mend":
    case "turn":
      playOthers(fleet, step);
  }
}

/** Whatever is wished, the laws hold: nobody declared, at work or of a higher class goes for it. */
function wish(fleet: FleetModel, { modelId: id, keepMs }: Extract<Command, { readonly do: "wish" }>): void {
  const event = { kind: "residency-wished", modelId: id, keepMs, atMs: fleet.nowMs } as const;
  fleet.state = reduceScheduler(fleet.state, event).state;
}

function endOne(fleet: FleetModel, step: Extract<Command, { readonly do: "finish" | "leave" }>): void {
  const request = one(fleet.open(step.do === "leave" ? "waiting" : "in-flight"), step.pick);
  if (request === undefined) return;
  if (step.do === "leave") fleet.leave(request);
  else fleet.finish(request);
}

/** What others do shows when the neuron tells of it, with `see` or the next change. */
function playOthers(
  fleet: FleetModel,
  step: Extract<Command, { readonly do: "place" | "take away" | "break" | "mend" | "turn" }>,
): void {
  switch (step.do) {
    case "place":
      fleet.place(step.neuron, step.modelId, step.byApply ? "revision" : "request");
      return;
    case "take away":
      fleet.takeAway(step.neuron, step.modelId);
      return;
    case "break":
      fleet.break(step.neuron, step.modelId);
      return;
    case "mend":
      fleet.mend(step.neuron);
      return;
    case "turn":
      fleet.turn(step.neuron, step.modelId, step.fails);
  }
}

function checkLaws(fleet: FleetModel): void {
  const { state } = fleet;
  const waiting = new Set([...state.queues.values()].flatMap(({ waiters }) => waiters.map(({ id }) => id)));
  const places = new Map<string, number>();
  for (const request of fleet.open("any")) {
    const isWaiting = waiting.delete(request.id);
    fleet.demand(isWaiting === (request.state === "waiting"), `${request.id} is ${request.state}`);
    fleet.demand(request.released === (isWaiting ? 0 : 1), `${request.id}: ${request.released} releases`);
    const lateMs = fleet.nowMs - request.deadlineAtMs;
    fleet.demand(!isWaiting || lateMs <= 0, `${request.id} waits beyond its deadline`);
    if (request.state !== "in-flight") continue;
    const key = `${request.neuron} ${request.modelId}`;
    places.set(key, (places.get(key) ?? 0) + 1);
  }
  fleet.demand(waiting.size === 0, "a waiter that is over still waits");
  fleet.demand(places.size === state.inFlight.size, "places are counted that nobody has");
  for (const [key, count] of state.inFlight) {
    fleet.demand(count > 0 && places.get(key) === count, `${key}: ${count} places counted`);
    fleet.demand(count <= 4, `${key} has ${count} requests for 2 slots and a queue of 2`);
  }
  const onNeuron = [...state.loads.values()].map((load) => `${load.neuron} ${load.modelId}`);
  fleet.demand(new Set(onNeuron).size === onNeuron.length, "two loads of one model on a neuron");
  for (const { waiters } of state.queues.values()) {
    fleet.demand(waiters.length > 0 && waiters.length <= POLICY.maxWaitersPerModel, "a queue out of bounds");
  }
}

test("100,000 steps: released once, counted truly, nobody declared or at work is taken away, memory holds", () => {
  fc.assert(
    fc.property(fc.array(command, { minLength: 200, maxLength: 200 }), (commands) => {
      const fleet = new FleetModel(NEURONS, MODELS, { defragAfterCycles: 3 });
      for (const step of commands) {
        play(fleet, step);
        checkLaws(fleet);
      }
      // Left to itself, everything comes to its end.
      fleet.mend("n");
      fleet.mend("o");
      fleet.see();
      for (let i = 0; i < 200; i += 1) fleet.pass(2000);
      checkLaws(fleet);
      fleet.demand(fleet.open("any").length === 0, "a request never ends");
      fleet.demand(fleet.state.loads.size === 0, "a load never ends");
      const worn = fleet.neurons.flatMap(({ copies }) =>
        [...copies.values()].filter(({ cycles }) => cycles >= 3),
      );
      fleet.demand(worn.length === 0, "a worn copy is idle, and stays");
      expect(fleet.breaches).toEqual([]);
    }),
    { numRuns: 500 },
  );
});

const RIVALS = [
  { id: "a", mib: 80, loadMs: 1000 },
  { id: "b", mib: 80, loadMs: 2000 },
  { id: "small", mib: 20, loadMs: 200 },
  { id: "large", mib: 95, loadMs: 3000 },
] as const;

/** Everything that one of the others can cost: its residency, its longest answer, its load, and a pause before it. */
const ONE_ROUND_MS = 6000 + 4000 + 3000 + 1000;

test("whoever asks is served within a round of the others, however these arrive, and swaps are few", () => {
  const burst = fc.record({
    modelId: fc.constantFrom(...RIVALS.map(({ id }) => id)),
    count: fc.integer({ min: 0, max: 3 }),
    serveMs: fc.integer({ min: 50, max: 4000 }),
    thenMs: fc.constantFrom(0, 100, 300, 1000),
    principal: fc.constantFrom("p", "q"),
  });
  fc.assert(
    fc.property(
      fc.array(burst, { minLength: 60, maxLength: 60 }),
      fc.constantFrom("a", "b", "small", "large"),
      (bursts, wanted) => {
        const fleet = new FleetModel({ n: 100 }, RIVALS, { maxWaitersPerModel: 6 });
        let probe = fleet.ask(wanted, { principal: "probe", serveMs: 100 });
        const bound = RIVALS.length * ONE_ROUND_MS;
        for (const { modelId, count, serveMs, thenMs, principal } of bursts) {
          for (let i = 0; i < count; i += 1) fleet.ask(modelId, { serveMs, principal });
          fleet.pass(thenMs);
          if (probe.outcome === "granted") {
            fleet.demand(probe.grantedAtMs - probe.arrivedAtMs <= bound, `${wanted} waited too long`);
          }
          // Sent away for a full queue, it comes again like any client.
          if (probe.state === "over" && fleet.nowMs < 30_000) {
            probe = fleet.ask(wanted, { principal: "probe", serveMs: 100 });
          }
        }
        for (let i = 0; i < 100; i += 1) fleet.pass(1000);
        const waitedMs = probe.grantedAtMs - probe.arrivedAtMs;
        fleet.demand(probe.outcome !== "granted" || waitedMs <= bound, `${wanted} waited ${waitedMs} ms`);
        fleet.demand(probe.state === "over", `${wanted} still waits`);
        // At least a pause and a load lie between two swaps.
        for (const [at, swap] of fleet.swaps.entries()) {
          const before = fleet.swaps[at - 1];
          const apartMs = before === undefined ? Infinity : swap.atMs - before.atMs;
          fleet.demand(apartMs >= 1000, `two swaps within ${apartMs} ms`);
        }
        expect(fleet.breaches).toEqual([]);
      },
    ),
    { numRuns: 150 },
  );
});
