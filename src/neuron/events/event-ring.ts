import type { NeuronEvent } from "../../protocol/neuron-events.ts";

/** Events that are kept for readers that come back or lag: minutes of a busy neuron, about half a MiB at most. */
const KEPT_EVENTS = 1024;

/** The last events, numbered without a gap. A reader that is behind the oldest one needs a snapshot. */
export interface EventRing {
  /** Number of the last event; 0 before the first. */
  readonly last: number;
  /** Oldest first; the newest has the number `last`. */
  readonly kept: readonly NeuronEvent[];
}

export const emptyRing: EventRing = { last: 0, kept: [] };

export const recordEvents = (ring: EventRing, events: readonly NeuronEvent[]): EventRing => ({
  last: ring.last + events.length,
  kept: [...ring.kept, ...events].slice(-KEPT_EVENTS),
});

/** What came after the event `number`, each with its number; null when that is not known any more, or never was. */
export function eventsAfter(
  ring: EventRing,
  number: number | null,
): readonly (readonly [number: number, event: NeuronEvent])[] | null {
  const oldest = ring.last - ring.kept.length;
  if (number === null || number < oldest || number > ring.last) return null;
  return ring.kept.slice(number - oldest).map((event, at) => [number + at + 1, event]);
}
