import { assertNever } from "../../core/assert-never.ts";
import type { ErrorCode } from "../../core/errors.ts";
import type { PlanChange, PlanDocument } from "../../protocol/plan-document.ts";

/*
 * Which step may start now. A reducer: the loop in io/apply-plan.ts carries out its effects and reports back.
 * Changes of one neuron run one after another, in the plan's order (each is sent on condition of the generation that
 * the one before it left); neurons run side by side, up to a bound. A step that fails ends whatever depends on it, however
 * indirectly, and nothing else: a file that is missing for good must not hold up its neighbours. Only what is true of the
 * whole neuron (it does not answer, it is no longer as the plan saw it) ends the rest of that neuron too.
 */
export type StepState =
  /** Neither started nor given up. */
  | "waiting"
  /** Started, and not reported back yet. */
  | "running"
  /** Its neuron is as the change wants it. */
  | "done"
  /** Its neuron refused it, or it broke off. */
  | "failed"
  /** Given up before it was started. */
  | "skipped";

export interface ApplyState {
  readonly changes: readonly PlanChange[];
  readonly steps: Readonly<Record<string, StepState>>;
  readonly parallelism: number;
  /** Neurons on which nothing more is done, each with the step that found out. */
  readonly lostNeurons: Readonly<Record<string, string>>;
  /** Why nothing more is started; undefined as long as it goes on. */
  readonly stopping: "by-request" | "out-of-time" | "superseded" | undefined;
}

export type ApplyStepEvent =
  /** Nobody has stopped the apply: the first steps may start. */
  | { readonly kind: "apply-begun" }
  /** The neuron is as the step wants it. */
  | { readonly kind: "step-succeeded"; readonly step: string }
  /** The neuron refused the step, or it broke off; `reach` tells what else cannot be done because of it. */
  | { readonly kind: "step-failed"; readonly step: string; readonly reach: FailureReach }
  /** The step was given up before anything was sent. */
  | { readonly kind: "step-withdrawn"; readonly step: string; readonly reason: string }
  /** What runs is finished, and nothing more is started. */
  | { readonly kind: "stop-requested" }
  /** The time that the apply may take in all is over. */
  | { readonly kind: "time-ended" }
  /** The right to change the fleet is gone: nothing more may be started. */
  | { readonly kind: "lease-lost" };

/** `step`: only what depends on it. `fleet`: nothing that this apply would still send is taken anywhere. */
export type FailureReach = "step" | "neuron" | "fleet";

/** Failures that would meet every other change of the neuron as well. */
const OF_THE_NEURON: ReadonlySet<ErrorCode> = new Set([
  "stale_generation",
  "upstream_connection_error",
  "unauthorized",
]);

/** Failures that say that somebody else has the fleet now. */
const OF_THE_FLEET: ReadonlySet<ErrorCode> = new Set(["stale_epoch", "lock_lost"]);

export const reachOf = (code: ErrorCode): FailureReach =>
  OF_THE_FLEET.has(code) ? "fleet" : OF_THE_NEURON.has(code) ? "neuron" : "step";

export type ApplyEffect =
  /** Carry the change out, and report back. */
  | { readonly kind: "start-step"; readonly change: PlanChange }
  /** Tell that the change will not be carried out; nothing is reported back. */
  | { readonly kind: "skip-step"; readonly change: PlanChange; readonly reason: string };

export interface ApplyOptions {
  /** Most steps under way at once; each is on another neuron. */
  readonly parallelism: number;
  /** Take down models with `protect = true` too. */
  readonly allowProtected: boolean;
}

const STOPPED = {
  "by-request": "the apply was stopped",
  "out-of-time": "the time for the apply was over (--timeout)",
  superseded: "this apply may not change the fleet any more",
} as const;

/** Before anything is sent: protected models are set aside, with all that waits for them. */
export function beginApply(
  plan: Pick<PlanDocument, "changes">,
  options: ApplyOptions,
): { state: ApplyState; effects: ApplyEffect[] } {
  const state: ApplyState = {
    changes: plan.changes,
    steps: Object.fromEntries(plan.changes.map((change) => [change.id, "waiting" as const])),
    parallelism: Math.max(1, options.parallelism),
    lostNeurons: {},
    stopping: undefined,
  };
  if (options.allowProtected) return { state, effects: [] };
  const effects: ApplyEffect[] = plan.changes
    .filter((change) => change.protected && change.kind !== "load")
    .map((change) => ({
      kind: "skip-step",
      change,
      reason: "protect = true; --allow-protected takes it down",
    }));
  return { state: mark(state, effects), effects };
}

export function stepApply(
  state: ApplyState,
  event: ApplyStepEvent,
): { state: ApplyState; effects: ApplyEffect[] } {
  const noted = note(state, event);
  const skips = hopeless(noted, event.kind === "step-withdrawn" ? event : undefined);
  const afterSkips = mark(noted, skips);
  const starts = startable(afterSkips);
  return { state: mark(afterSkips, starts), effects: [...skips, ...starts] };
}

/** True once no effect is under way and none will follow. */
export const applyIsOver = (state: ApplyState): boolean =>
  Object.values(state.steps).every((step) => step !== "waiting" && step !== "running");

function note(state: ApplyState, event: ApplyStepEvent): ApplyState {
  switch (event.kind) {
    case "apply-begun":
    case "step-withdrawn":
      return state;
    case "step-succeeded":
      return { ...state, steps: { ...state.steps, [event.step]: "done" } };
    case "step-failed":
      return noteFailure(state, event);
    case "stop-requested":
      return { ...state, stopping: "by-request" };
    case "time-ended":
      return { ...state, stopping: state.stopping ?? "out-of-time" };
    case "lease-lost":
      return { ...state, stopping: "superseded" };
    default:
      return assertNever(event);
  }
}

function noteFailure(state: ApplyState, event: ApplyStepEvent & { kind: "step-failed" }): ApplyState {
  const { step, reach } = event;
  const failed: ApplyState = { ...state, steps: { ...state.steps, [step]: "failed" } };
  if (reach === "fleet") return { ...failed, stopping: "superseded" };
  const neuron = state.changes.find(({ id }) => id === step)?.neuron;
  if (reach === "step" || neuron === undefined) return failed;
  return { ...failed, lostNeurons: { ...state.lostNeurons, [neuron]: step } };
}

function mark(state: ApplyState, effects: readonly ApplyEffect[]): ApplyState {
  const steps = { ...state.steps };
  for (const effect of effects)
    steps[effect.change.id] = effect.kind === "start-step" ? "running" : "skipped";
  return { ...state, steps };
}

/** Every waiting step that can never start any more, each with its own reason. */
function hopeless(
  state: ApplyState,
  withdrawn: { readonly step: string; readonly reason: string } | undefined,
): ApplyEffect[] {
  const skips: ApplyEffect[] = [];
  let steps = state.steps;
  for (const change of state.changes) {
    const isWithdrawn = change.id === withdrawn?.step;
    if (steps[change.id] !== "waiting" && !isWithdrawn) continue;
    const reason = isWithdrawn ? withdrawn.reason : reasonNotToStart({ ...state, steps }, change);
    if (reason === undefined) continue;
    skips.push({ kind: "skip-step", change, reason });
    steps = { ...steps, [change.id]: "skipped" };
  }
  return skips;
}

/** The plan is in an order that can be carried out, so what a step waits for is always judged before it. */
function reasonNotToStart(state: ApplyState, change: PlanChange): string | undefined {
  if (state.stopping !== undefined) return STOPPED[state.stopping];
  const lost = change.depends_on.find((id) => state.steps[id] === "failed" || state.steps[id] === "skipped");
  if (lost !== undefined) {
    return `it waits for "${lost}", which ${state.steps[lost] === "failed" ? "failed" : "was not started"}`;
  }
  const finder = state.lostNeurons[change.neuron];
  return finder === undefined
    ? undefined
    : `nothing more is done on ${change.neuron} since "${finder}" failed there`;
}

function startable(state: ApplyState): ApplyEffect[] {
  const running = state.changes.filter((change) => state.steps[change.id] === "running");
  const busy = new Set(running.map((change) => change.neuron));
  const effects: ApplyEffect[] = [];
  for (const change of state.changes) {
    if (running.length + effects.length >= state.parallelism) break;
    if (state.steps[change.id] !== "waiting" || busy.has(change.neuron)) continue;
    // The first waiting step of a neuron holds back the later ones, whether it can start or not.
    busy.add(change.neuron);
    if (change.depends_on.every((id) => state.steps[id] === "done" || state.steps[id] === undefined)) {
      effects.push({ kind: "start-step", change });
    }
  }
  return effects;
}
