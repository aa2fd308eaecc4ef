import type { Paint } from "./paint.ts";

interface StateLook {
  readonly words: string;
  readonly style: Paint;
}

/** What the state of a model is called, and how it looks, wherever one is shown. */
export const STATE_LOOKS = {
  resident: { words: "resident", style: "green" },
  serving: { words: "serving", style: "green" },
  loading: { words: "loading", style: "yellow" },
  leaving: { words: "leaving", style: "yellow" },
  draining: { words: "draining", style: "yellow" },
  undeclared: { words: "not declared", style: "yellow" },
  unknown: { words: "unknown", style: "yellow" },
  stuck: { words: "stuck", style: "red" },
  missing: { words: "missing", style: "red" },
  failed: { words: "failed", style: "red" },
  on_demand: { words: "on demand", style: "dim" },
  cold: { words: "cold", style: "dim" },
  foreign: { words: "another's", style: "dim" },
} as const satisfies Readonly<Record<string, StateLook>>;
