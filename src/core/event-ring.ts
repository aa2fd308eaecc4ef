/** Events that are kept for readers that come back or lag: minutes of a busy neuron, about half a MiB at most. */
const KEPT_EVENTS = 1024;

/** The last events, numbered without a gap. A reader that is behind the oldest one needs a snapshot. */
export interface EventRing<Event> {
  /** Number of the last event; 0 before the first. */
  readonly last: number;
  /** Oldest first; the newest has the number `last`. */
  readonly kept: readonly Event[];
}

export const emptyRing: EventRing<never> = { last: 0, kept: [] };

export const recordEvents = <Event>(ring: EventRing<Event>, events: readonly Event[]): EventRing<Event> => ({
  last: ring.last + events.length,
  kept: [...ring.kept, ...events].slice(-KEPT_EVENTS),
});

/** What came after the event `number`, each with its number; null when that is not known any more, or never was. */
export function eventsAfter<Event>(
  ring: EventRing<Event>,
  number: number | null,
): readonly (readonly [number: number, event: Event])[] | null {
  const oldest = ring.last - ring.kept.length;
  if (number === null || number < oldest || number > ring.last) return null;
  return ring.kept.slice(number - oldest).map((event, at) => [number + at + 1, event]);
}

/** `<life>:<number>`, a life being one run of the process, so that an id of an earlier run never fits. */
export const eventId = (life: string, number: number): string => `${life}:${number}`;

/** The number of an event of this life; null for one of another life, or for what is no id. */
export function eventNumber(id: string | undefined, life: string): number | null {
  const found = /^([^:]+):(\d+)$/.exec(id ?? "");
  return found?.[1] === life ? Number(found[2]) : null;
}
