/** In a row: a driver that stumbles once must not cost a model. */
const MISSES_UNTIL_LOST = 2;

/** Which devices are lost: what was lost stays lost, since a card that comes back has forgotten what was on it. */
export class MissedLooks {
  readonly #misses = new Map<number, number>();

  /** Whether each device was missed in a look. */
  count(missed: ReadonlyMap<number, boolean>): void {
    for (const [index, isMissed] of missed) {
      const before = this.#misses.get(index) ?? 0;
      if (isMissed) this.#misses.set(index, before + 1);
      else if (before < MISSES_UNTIL_LOST) this.#misses.delete(index);
    }
  }

  lost(): ReadonlySet<number> {
    return new Set(
      [...this.#misses].filter(([, count]) => count >= MISSES_UNTIL_LOST).map(([index]) => index),
    );
  }
}
