import fc from "fast-check";
import { expect, test } from "vitest";
import { afterChange, factsChange, NO_FACTS, type Facts } from "../../../src/gateway/crew/facts.ts";
import { EMPTY_QUEUE } from "../../../src/gateway/loading/fair-queue.ts";
import { initialFleetView, withNeurons, type FleetView } from "../../../src/gateway/view/fleet-view.ts";
import { GOOD_STANDING } from "../../../src/gateway/routing/replica-standing.ts";

const names = fc.uniqueArray(fc.constantFrom("a", "b", "c", "d"));
const counts = fc.dictionary(fc.constantFrom("a m", "b m", "c n"), fc.nat(9));

/** What happens to the owner's state; each part is made anew where it changes. */
const step = fc.oneof(
  fc.record({ kind: fc.constant("neurons" as const), names }),
  fc.record({
    kind: fc.constant("misses" as const),
    name: fc.constantFrom("a", "b", "c", "d"),
    misses: fc.nat(3),
  }),
  fc.record({ kind: fc.constant("measured" as const), counts }),
  fc.record({ kind: fc.constant("queues" as const), names }),
  fc.record({ kind: fc.constant("in-flight" as const), counts }),
  fc.record({ kind: fc.constant("speeds" as const), counts }),
  fc.record({ kind: fc.constant("standings" as const), names }),
);
type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never;

const mapOf = (record: Readonly<Record<string, number>>) => new Map(Object.entries(record));

function withMisses(view: FleetView, name: string, misses: number): FleetView {
  const neuron = view.neurons.get(name);
  return neuron === undefined
    ? view
    : { ...view, neurons: new Map(view.neurons).set(name, { ...neuron, misses }) };
}

function after(facts: Facts, happened: Step): Facts {
  switch (happened.kind) {
    case "neurons":
      return { ...facts, view: withNeurons(facts.view, happened.names) };
    case "misses":
      return { ...facts, view: withMisses(facts.view, happened.name, happened.misses) };
    case "measured":
      return { ...facts, view: { ...facts.view, measuredLoadMs: mapOf(happened.counts) } };
    case "queues":
      return { ...facts, queues: new Map(happened.names.map((name) => [name, EMPTY_QUEUE])) };
    case "in-flight":
      return { ...facts, inFlight: mapOf(happened.counts) };
    case "speeds":
      return { ...facts, speeds: mapOf(happened.counts) };
    case "standings":
      return { ...facts, standings: new Map(happened.names.map((name) => [name, GOOD_STANDING])) };
    default:
      return happened satisfies never;
  }
}

/** In their order: neurons are walked over in that of the fleet files. */
const inOrder = (facts: Facts) => ({
  ...facts,
  neurons: [...facts.view.neurons],
  queues: [...facts.queues.keys()],
});

test("a worker that is told each change knows what its owner knows, whenever it joined and whatever was told together", () => {
  fc.assert(
    fc.property(fc.array(fc.record({ step, isTold: fc.boolean() })), fc.nat(10), (steps, joinsAt) => {
      let owner: Facts = { ...NO_FACTS, view: initialFleetView(["a", "b"]) };
      let told = NO_FACTS;
      let worker = NO_FACTS;
      let late: Facts | null = null;
      const tell = () => {
        const change = factsChange(told, owner);
        told = owner;
        if (change === null) return;
        worker = afterChange(worker, change);
        if (late !== null) late = afterChange(late, change);
      };
      for (const [index, { step: happened, isTold }] of steps.entries()) {
        owner = after(owner, happened);
        if (isTold) tell();
        if (index === joinsAt) {
          tell();
          late = afterChange(NO_FACTS, factsChange(NO_FACTS, told) ?? {});
        }
      }
      tell();
      expect(inOrder(worker)).toEqual(inOrder(owner));
      expect(late === null ? null : inOrder(late)).toEqual(late === null ? null : inOrder(owner));
      expect(factsChange(told, owner)).toBeNull();
    }),
  );
});
