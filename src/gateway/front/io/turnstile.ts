/**
 * So many requests of a burst begin in one turn of the event loop. A fleet's worth of clients that come back together
 * would all be begun before anything that neurons have sent goes on to those who came before them: a tenth of a second
 * without a word in every stream, for a thousand of them.
 */
export const MOST_AT_A_TURN = 64;

/** Lets requests begin in the order in which they came, and answers under way have their turn in between. */
export class Turnstile {
  /** Since a turn has ended, or more turns: nobody counts them as long as few come. */
  #begun = 0;
  #waiting: (() => void)[] = [];
  #isTurnAwaited = false;

  /** Calls it at once, or in a later turn. It must not throw. */
  pass(begin: () => void): void {
    if (this.#begun >= MOST_AT_A_TURN) {
      this.#waiting.push(begin);
      return;
    }
    this.#count();
    begin();
  }

  #count(): void {
    this.#begun += 1;
    if (this.#begun < MOST_AT_A_TURN || this.#isTurnAwaited) return;
    this.#isTurnAwaited = true;
    setImmediate(this.#nextTurn);
  }

  readonly #nextTurn = (): void => {
    this.#isTurnAwaited = false;
    this.#begun = 0;
    const begin = this.#waiting.splice(0, MOST_AT_A_TURN);
    for (const one of begin) {
      this.#count();
      one();
    }
  };
}
