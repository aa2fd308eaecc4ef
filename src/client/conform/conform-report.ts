import { RULES, type Breach, type RuleName } from "../grammar/rules.ts";
import type { Judgement } from "./judge-told.ts";

export interface ConformStep {
  readonly name: string;
  /** `not-done`: there was no way to look. */
  readonly outcome: "kept" | "broken" | "not-done";
  /** What was seen, in words. */
  readonly detail: string;
  readonly durationMs: number;
  readonly looked: readonly RuleName[];
  readonly breaches: readonly Breach[];
}

export interface ConformRule {
  readonly rule: RuleName;
  readonly outcome: "kept" | "broken" | "not-seen";
  readonly text: string;
  /** Where and how it was broken. */
  readonly breaches: readonly { readonly step: string; readonly detail: string }[];
}

/** What a client sees while a model loads. */
export interface ColdLoad {
  readonly model: string;
  readonly headMs: number;
  readonly endMs: number;
  readonly events: number;
  readonly comments: number;
  readonly longestSilenceMs: number;
  /** The first of what came. */
  readonly arrivals: readonly { readonly atMs: number; readonly text: string }[];
}

export interface ConformReport {
  readonly url: string;
  readonly dialect: string;
  readonly model: string;
  readonly conforms: boolean;
  readonly steps: readonly ConformStep[];
  readonly rules: readonly ConformRule[];
  readonly coldLoad: ColdLoad | null;
}

export const doneStep = (
  name: string,
  judgements: readonly Judgement[],
  { detail, durationMs }: { readonly detail: string; readonly durationMs: number },
): ConformStep => {
  const breaches = judgements.flatMap((one) => one.breaches);
  const looked = [...new Set(judgements.flatMap((one) => one.looked))];
  const seen = looked.length === 0 ? "not-done" : "kept";
  return { name, outcome: breaches.length > 0 ? "broken" : seen, detail, durationMs, looked, breaches };
};

/** Rules of other dialects are not this report's. */
export function tally(steps: readonly ConformStep[], foreign: ReadonlySet<RuleName>): readonly ConformRule[] {
  const names = (Object.keys(RULES) as RuleName[]).filter((rule) => !foreign.has(rule));
  return names.map((rule) => {
    const breaches = steps.flatMap(({ name: step, breaches: found }) =>
      found.flatMap((one) => (one.rule === rule ? [{ step, detail: one.detail }] : [])),
    );
    const isSeen = steps.some(({ looked }) => looked.includes(rule));
    const outcome = breaches.length > 0 ? "broken" : isSeen ? "kept" : "not-seen";
    return { rule, outcome, text: RULES[rule], breaches };
  });
}
