/** So many tokens must stand together before, for what followed them to be a guess. */
const GRAM = 3;

/**
 * Guesses that a text goes on as it did where its last tokens stood before: answers repeat the prompt (edited code,
 * quotations, names of fields) and themselves. Each token costs one look into a table, however long the text is.
 */
export interface PromptLookup {
  push(token: number): void;
  /** What followed the last tokens when they stood before, `most` tokens at most. */
  draft(most: number): readonly number[];
}

class LastOccurrences implements PromptLookup {
  readonly #tokens: number[] = [];
  /** Key of tokens that stand together to where the next one stands; the last time counts. */
  readonly #next = new Map<number, number>();

  push(token: number): void {
    // The last tokens are entered when something follows them, so that they are never found themselves.
    const end = this.#tokens.length;
    if (end >= GRAM) this.#next.set(this.#keyAt(end), end);
    this.#tokens.push(token);
  }

  draft(most: number): readonly number[] {
    const end = this.#tokens.length;
    if (end < GRAM || most <= 0) return [];
    const found = this.#next.get(this.#keyAt(end));
    if (found === undefined || !this.#standsAt(found)) return [];
    return this.#tokens.slice(found, found + most);
  }

  #keyAt(end: number): number {
    let key = 0;
    // Below 2^53 for every vocabulary: the remainder of a product of 31 and 21 bits.
    for (let at = end - GRAM; at < end; at += 1)
      key = (key * 1_048_583 + (this.#tokens[at] ?? 0)) % 2_147_483_647;
    return key;
  }

  /** Keys may collide. */
  #standsAt(end: number): boolean {
    const last = this.#tokens.length;
    for (let back = 1; back <= GRAM; back += 1) {
      if (this.#tokens[end - back] !== this.#tokens[last - back]) return false;
    }
    return true;
  }
}

export function createPromptLookup(tokens: readonly number[]): PromptLookup {
  const lookup = new LastOccurrences();
  for (const token of tokens) lookup.push(token);
  return lookup;
}
