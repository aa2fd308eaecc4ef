/**
 * Finds stop strings in text that arrives in pieces. Held back is only what could still become a stop string, so
 * that a client sees every other character at once. The match that is complete first wins, and of those the one
 * that began first: the result does not depend on how the text was cut.
 */
export interface StopMatcher {
  /** Text that is safe to show, and the stop string that ended the answer, if one did (nothing may be pushed after that). */
  push(text: string): { readonly text: string; readonly stop: string | null };
  /** What was held back, once no more text comes. */
  end(): string;
}

const PASS_THROUGH: StopMatcher = { push: (text) => ({ text, stop: null }), end: () => "" };

/** Empty stop strings ask for nothing. */
export function createStopMatcher(stops: readonly string[]): StopMatcher {
  const wanted = stops.filter((stop) => stop.length > 0);
  if (wanted.length === 0) return PASS_THROUGH;
  let held = "";
  return {
    push(text) {
      held += text;
      const match = firstCompletedStop(held, wanted);
      if (match !== undefined) {
        const shown = held.slice(0, match.start);
        held = "";
        return { text: shown, stop: match.stop };
      }
      const keep = Math.max(...wanted.map((stop) => prefixAtEnd(held, stop)));
      const shown = held.slice(0, held.length - keep);
      held = held.slice(held.length - keep);
      return { text: shown, stop: null };
    },
    end() {
      const rest = held;
      held = "";
      return rest;
    },
  };
}

const end = ({ start, stop }: { readonly start: number; readonly stop: string }): number =>
  start + stop.length;

function firstCompletedStop(text: string, stops: readonly string[]) {
  return stops
    .map((stop) => ({ start: text.indexOf(stop), stop }))
    .filter((match) => match.start >= 0)
    .toSorted((one, other) => end(one) - end(other) || one.start - other.start)[0];
}

/** Length of the longest proper prefix of `word` that `text` ends with. */
export function prefixAtEnd(text: string, word: string): number {
  for (let length = Math.min(text.length, word.length - 1); length > 0; length -= 1) {
    if (text.endsWith(word.slice(0, length))) return length;
  }
  return 0;
}
