/**
 * The one order of texts: by code units, the same on every machine and in every locale, because plans, digests and
 * fixtures depend on it.
 */
export const compareText = (left: string, right: string): number =>
  left < right ? -1 : left > right ? 1 : 0;

/** A comparator by one text of each item. */
export const by =
  <Item>(textOf: (item: Item) => string) =>
  (left: Item, right: Item): number =>
    compareText(textOf(left), textOf(right));
