import { expect, test } from "vitest";
import {
  emptyRing,
  eventId,
  eventNumber,
  eventsAfter,
  recordEvents,
  type EventRing,
} from "../../../src/core/event-ring.ts";
import { isOlderThanEvent, type NeuronEvent } from "../../../src/protocol/neuron-events.ts";

const risen = (generation: number): NeuronEvent => ({ kind: "generation-risen", generation });
const numbersAfter = (ring: EventRing<NeuronEvent>, number: number | null) =>
  eventsAfter(ring, number)?.map(([at]) => at) ?? null;

test.each([
  ["nobody knows where it is", null, null],
  ["from the beginning", 0, [1, 2, 3]],
  ["in the middle", 2, [3]],
  ["at the end", 3, []],
  ["ahead of what was told", 4, null],
])("a reader %s", (...[, number, expected]) => {
  expect(numbersAfter(recordEvents(emptyRing, [risen(1), risen(2), risen(3)]), number)).toEqual(expected);
});

test("the ring is bounded: who is behind its oldest event needs a snapshot", () => {
  let ring: EventRing<NeuronEvent> = emptyRing;
  for (let number = 1; number <= 3000; number += 1) ring = recordEvents(ring, [risen(number)]);
  expect(ring.kept).toHaveLength(1024);
  expect(numbersAfter(ring, 3000 - 1025)).toBeNull();
  expect(numbersAfter(ring, 3000 - 1024)).toHaveLength(1024);
  expect(eventsAfter(ring, 2999)).toEqual([[3000, risen(3000)]]);
});

test.each([
  ["a:3", "a", 3],
  ["b:3", "a", null],
  ["3", "a", null],
  ["a:x", "a", null],
  [undefined, "a", null],
])("the id %s in the life %s", (id, life, expected) => {
  expect(eventNumber(id, life)).toBe(expected);
});

test.each([
  [eventId("a", 3), eventId("a", 4), true],
  [eventId("a", 4), eventId("a", 4), false],
  [eventId("a", 5), eventId("a", 4), false],
  [eventId("b", 1), eventId("a", 4), false],
  [undefined, eventId("a", 4), false],
  [eventId("a", 3), undefined, false],
])("an answer of %s is older than the event %s: %s", (told, known, expected) => {
  expect(isOlderThanEvent(told, known)).toBe(expected);
});
