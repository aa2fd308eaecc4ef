import { assertNever } from "../../core/assert-never.ts";
import type { RoundOutcome } from "./round-outcome.ts";

export interface Condition {
  readonly status: "True" | "False" | "Unknown";
  readonly reason: string;
  readonly message: string;
  /** When the status last changed. */
  readonly since: string;
}

/**
 * What a loop says of itself. Ready: the fleet is as the branch declares. Reconciling: it is being made so, or that is tried
 * again. Stalled: nothing will happen before a person does something.
 */
export interface Conditions {
  readonly Ready: Condition;
  readonly Reconciling: Condition;
  readonly Stalled: Condition;
}

type Verdict = readonly [status: Condition["status"], reason: string];

/** Undefined outcome: nothing was looked at yet. */
export function conditionsOf(
  before: Conditions | undefined,
  outcome: RoundOutcome | undefined,
  nowMs: number,
): Conditions {
  const message = outcome?.message ?? "the first look is under way";
  const [ready, reconciling, stalled] = verdictsOf(outcome);
  const made = (name: keyof Conditions, [status, reason]: Verdict): Condition => {
    const old = before?.[name];
    const since = old?.status === status ? old.since : new Date(nowMs).toISOString();
    return { status, reason, message, since };
  };
  return {
    Ready: made("Ready", ready),
    Reconciling: made("Reconciling", reconciling),
    Stalled: made("Stalled", stalled),
  };
}

function verdictsOf(outcome: RoundOutcome | undefined): readonly [Verdict, Verdict, Verdict] {
  if (outcome === undefined) return verdicts("Progressing", ["Unknown", "True", "False"]);
  switch (outcome.kind) {
    case "in-sync":
    case "applied":
      return verdicts("Succeeded", ["True", "False", "False"]);
    case "drift-suspected":
      return verdicts("DriftSuspected", ["True", "True", "False"]);
    case "drifted":
      return verdicts("Drifted", ["False", "False", "False"]);
    case "held-back":
      return verdicts(outcome.reason, [
        outcome.in_sync ? "True" : "False",
        "False",
        outcome.until_ms === null ? "True" : "False",
      ]);
    case "failed":
      return [
        ["False", outcome.reason],
        ["True", "ProgressingWithRetry"],
        ["False", outcome.reason],
      ];
    case "refused":
      return verdicts(outcome.reason, ["False", "False", "True"]);
    default:
      return assertNever(outcome);
  }
}

type Status = Condition["status"];

/** One reason for all of them. */
const verdicts = (
  reason: string,
  [ready, reconciling, stalled]: readonly [Status, Status, Status],
): readonly [Verdict, Verdict, Verdict] => [
  [ready, reason],
  [reconciling, reason],
  [stalled, reason],
];
