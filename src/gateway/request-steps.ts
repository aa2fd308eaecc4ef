import type { CortexError } from "../core/errors.ts";
import { knownCode, type RelayResult } from "./relay/relay-answer.ts";
import type { RequestRecord, RequestStep } from "./request-record.ts";
import type { Decision } from "./routing/route-request.ts";

/* What a request did, written down as it does it: one small object for each step, none for what passes on the way. */

/** In a list as long as they are: one that grows in place has room for sixteen, in every request that is open. */
export function addStep(record: Pick<RequestRecord, "steps">, step: RequestStep): void {
  record.steps = [...record.steps, step];
}

type Step<Kind extends RequestStep["kind"]> = Extract<RequestStep, { kind: Kind }>;

export function routedStep(decision: Decision, atMs: number): Step<"routed"> {
  const { kind, considered } = decision;
  const code = kind === "refuse" ? decision.error.code : null;
  const neuron = kind === "serve" ? decision.neuron : kind === "wait" ? decision.replica : null;
  return { kind: "routed", atMs, decision: kind, neuron, code, considered };
}

export const beginWait = (atMs: number): Step<"waited"> => ({
  kind: "waited",
  atMs,
  position: null,
  waiting: 0,
  loads: [],
  endedAtMs: null,
  outcome: null,
  neuron: null,
  code: null,
});

export function noteStanding(
  step: Step<"waited">,
  standing: { readonly position: number; readonly waiting: number } | undefined,
): void {
  step.position = standing?.position ?? null;
  step.waiting = standing?.waiting ?? 0;
}

type EndOfWait =
  | { readonly kind: "granted"; readonly place: { readonly neuron: string } }
  | { readonly kind: "refused"; readonly error: CortexError }
  | { readonly kind: "decide-again" | "cancelled" };

export function endWait(step: Step<"waited">, outcome: EndOfWait, atMs: number): void {
  step.endedAtMs = atMs;
  step.outcome = outcome.kind;
  if (outcome.kind === "granted") step.neuron = outcome.place.neuron;
  if (outcome.kind === "refused") step.code = outcome.error.code;
}

export const beginAttempt = (neuron: string, atMs: number): Step<"sent"> => ({
  kind: "sent",
  atMs,
  neuron,
  endedAtMs: null,
  outcome: null,
  code: null,
});

/** The code alone of an error: its words may be those of the request. */
export function endAttempt(step: Step<"sent">, result: RelayResult, atMs: number): void {
  step.endedAtMs = atMs;
  step.outcome = result.kind;
  if (result.kind === "answered-error") {
    const { envelope, status } = result.answer;
    step.code = envelope === null ? `HTTP ${status}` : knownCode(envelope);
  } else if (result.kind === "failed-before-answer" || result.kind === "cut") step.code = result.code;
}

/** For the log. */
export const explain = (decision: Decision) => ({
  decision: decision.kind,
  model: decision.modelId,
  considered: decision.considered,
});
