import type { NotedDocument } from "../imported/located-document.ts";

/** A configuration of llama-swap on its way into fleet files. */
export interface SwapContext extends NotedDocument {
  readonly macros: Readonly<Record<string, string>>;
  readonly preloaded: ReadonlySet<string>;
  readonly defaultTtlSecs: number | undefined;
  /** Every name that the document gives to a model, its own and its aliases; names made here are put in. */
  readonly names: Set<string>;
}
