import type { NeuronAccess } from "../../../protocol/io/neuron-client.ts";
import type { Clock } from "../../../core/clock.ts";
import { errorKind, toCortexError, type CortexError, type ErrorCode } from "../../../core/errors.ts";
import type { PlanDocument } from "../../../protocol/plan-document.ts";
import { isSeen, isSettled } from "../../../protocol/plan-settled.ts";
import type { Operator } from "../../../protocol/refs/lock-record.ts";
import { openBranch, type FleetBranch, type SignatureRule } from "../../../repository/io/fleet-branch.ts";
import { fleetGit } from "../../../repository/io/fleet-git.ts";
import type { LoadedFleet } from "../../../repository/io/load-fleet.ts";
import { checkBeforeApply } from "../../apply/check-before-apply.ts";
import { ApplyOnRecord } from "../../history/io/apply-on-record.ts";
import { readRecorded } from "../../history/io/read-recorded.ts";
import { readHistory } from "../../history/io/read-history.ts";
import { openLockStore } from "../../lock/io/open-lock.ts";
import { createNeuronLease } from "../../lock/io/neuron-lease.ts";
import { makePlan, type KeptHistory } from "../../plan/io/make-plan.ts";
import { planDeps } from "../../plan/io/plan-deps.ts";
import type { Hold } from "../hold.ts";
import { readHold } from "./read-hold.ts";
import type { RoundOutcome } from "../round-outcome.ts";

export interface RoundOptions {
  /** `git+<url>#<branch>:<directory>`. */
  readonly place: string;
  readonly environment: {
    readonly cortexVariables: Readonly<Record<string, string>>;
    readonly inherited: Readonly<Record<string, string | undefined>>;
  };
  readonly operator: Operator;
  readonly clock: Clock;
  /** Kept as the process was started: a commit that nobody verified must not say how it is verified. */
  readonly signatures: SignatureRule | undefined;
  /** Overrides `mode` of the files. */
  readonly mode: "apply" | "detect" | undefined;
  readonly neuronAccess: () => Promise<NeuronAccess>;
  readonly gatewayUrl: string | undefined;
  readonly metricsUrl: string | undefined;
  readonly apiKey: () => Promise<string | undefined>;
  /** Told as changes begin, which may take long. */
  readonly onApply?: ((told: { readonly commit: string; readonly summary: string }) => void) | undefined;
  /** Told the files of a commit once the fleet is as they declare; again only for another commit. */
  readonly onTrue?: ((loaded: LoadedFleet) => void) | undefined;
}

/** What a round leaves for the next one. */
export interface RoundMemory {
  /** The last commit of which anything was applied; undefined before the history was read. */
  lastApplied: string | undefined;
  /** The last commit of which all was found or made true, so that what differs from it is drift. */
  lastTrue: string | undefined;
  /** The last commit that `onTrue` was told. */
  toldTrue: string | undefined;
  hasReadHistory: boolean;
  /** The fleet differed from the last applied commit when it was last looked at. */
  driftSeen: boolean;
  intervalMs: number | undefined;
}

/** A refusal that only a person can mend. */
class Refusal extends Error {
  readonly reason: string;
  constructor(reason: string, message: string) {
    super(message);
    this.reason = reason;
  }
}

/** What is wrong with the files or the plan, and not with the moment. */
const REASONS: Partial<Record<ErrorCode, string>> = {
  fleet_invalid: "InvalidFleet",
  fleet_not_found: "EmptyRender",
  fleet_incomplete: "InvalidFleet",
  fleet_revision_unknown: "BranchMissing",
  mass_unload: "MassUnload",
  plan_refused: "PlanRefused",
  signers_unusable: "SignersUnusable",
  usage_error: "UsageError",
};

/** One look: fetch, verify, validate, plan, guards, and then apply or tell. Never throws: the outcome says what failed. */
export async function runRound(
  options: RoundOptions,
  memory: RoundMemory,
  signal: AbortSignal,
): Promise<RoundOutcome> {
  let commit: string | null = null;
  try {
    const { cortexVariables, inherited } = options.environment;
    const where = { path: options.place, environmentOverrides: cortexVariables, inherited };
    const branch = await openBranch(where);
    commit = branch.commit;
    const signedBy = await verified(branch, options.signatures);
    const loaded = await branch.load();
    memory.intervalMs = loaded.fleet.gitops.interval_secs * 1000;
    await refuseRewritten(branch, { loaded, options, memory });
    const hold = await readHold(
      { path: options.place, fleet: loaded.fleet },
      options.environment,
      options.clock.nowMs(),
    );
    const plan = await planOf(options, commit);
    return await actOn(plan, { loaded, options, memory, signal, signedBy, commit, hold });
  } catch (thrown) {
    return outcomeOf(thrown, commit);
  }
}

function outcomeOf(thrown: unknown, commit: string | null): RoundOutcome {
  if (thrown instanceof Refusal)
    return { kind: "refused", reason: thrown.reason, commit, message: thrown.message };
  const error = toCortexError(thrown);
  const message = `${error.message} (${error.next})`;
  const reason = REASONS[error.code];
  if (reason !== undefined) return { kind: "refused", reason, commit, message };
  return { kind: "failed", reason: failureReason(error), commit, message };
}

function failureReason({ code }: CortexError): string {
  if (code === "fleet_unreachable") return "FetchFailed";
  if (code === "lock_held") return "LockHeld";
  return errorKind(code).retryable ? "FleetUnavailable" : "ApplyFailed";
}

async function verified(branch: FleetBranch, rule: SignatureRule | undefined): Promise<string | null> {
  if (rule === undefined) return null;
  const verdict = await branch.verify(rule);
  if (verdict.kind === "good") return verdict.signer;
  const at = branch.commit.slice(0, 8);
  throw new Refusal("UntrustedCommit", `${at} is not applied: ${verdict.reason}`);
}

interface Situation {
  readonly loaded: LoadedFleet;
  readonly options: RoundOptions;
  readonly memory: RoundMemory;
}

/** A branch that does not contain what was applied was pushed by force: maybe to hide a commit, maybe by mistake. */
async function refuseRewritten(branch: FleetBranch, { loaded, options, memory }: Situation): Promise<void> {
  if (!memory.hasReadHistory) {
    const last = await lastApplied(loaded, options);
    memory.lastApplied = last?.commit;
    memory.lastTrue = last?.asDeclared === true ? last.commit : undefined;
    memory.hasReadHistory = true;
  }
  const applied = memory.lastApplied;
  if (applied === undefined || (await branch.descendsFrom(applied))) return;
  // Somebody may have applied the new line by hand meanwhile, and so decided.
  memory.lastApplied = (await lastApplied(loaded, options))?.commit;
  if (memory.lastApplied === undefined || (await branch.descendsFrom(memory.lastApplied))) return;
  throw new Refusal(
    "HistoryRewritten",
    `the branch was pushed by force: ${branch.commit.slice(0, 8)} does not contain ${applied.slice(0, 8)}, which was applied last. If that is meant: cortex apply --config ${options.place}`,
  );
}

interface LastApply {
  readonly commit: string;
  readonly asDeclared: boolean;
}

async function lastApplied({ fleet }: LoadedFleet, options: RoundOptions): Promise<LastApply | undefined> {
  const location = { path: options.place, fleet: fleet.fleet.name, most: 20 };
  const items = await readHistory(location, options.environment);
  const [last] = items.flatMap(({ entry }) => entry?.record ?? []);
  const commit = last?.revision.commit ?? undefined;
  return commit === undefined ? undefined : { commit, asDeclared: last?.as_declared === true };
}

function planOf(options: RoundOptions, commit: string): Promise<PlanDocument> {
  const { place, clock, environment, neuronAccess, gatewayUrl, metricsUrl, apiKey } = options;
  const recorded = (kept: KeptHistory) => readRecorded(kept, environment);
  const view = { path: place, ref: commit, neuronAccess, gatewayUrl, metricsUrl, apiKey, recorded };
  return makePlan(view, planDeps(clock, environment));
}

interface Action extends Situation {
  readonly signal: AbortSignal;
  readonly signedBy: string | null;
  readonly commit: string;
  readonly hold: Hold | undefined;
}

async function actOn(plan: PlanDocument, action: Action): Promise<RoundOutcome> {
  const { loaded, options, memory, commit, hold } = action;
  const at = commit.slice(0, 8);
  if (!isSeen(plan))
    return { kind: "failed", reason: "FleetUnavailable", commit, message: `no neuron answers; ${at} waits` };
  const isKnown = memory.lastTrue === commit;
  if (plan.changes.length === 0) {
    memory.driftSeen = false;
    if (!isSettled(plan)) return incomplete(plan, commit);
    noteTrue(commit, action);
    memory.lastApplied = commit;
    const message = `the fleet is as ${at} declares`;
    // Outside of a window there is nothing to say where nothing has to be done.
    return hold?.reason === "Suspended"
      ? heldBack(hold, { commit, message, inSync: true })
      : { kind: "in-sync", commit, message };
  }
  const told = summaryOf(plan);
  if (loaded.fleet.models.length === 0)
    throw new Refusal(
      "EmptyRender",
      `${at} declares no model at all, and the plan would unload what is loaded`,
    );
  const mode = options.mode ?? loaded.fleet.gitops.mode;
  if (isKnown && !memory.driftSeen) {
    memory.driftSeen = true;
    return { kind: "drift-suspected", commit, message: `the fleet differs from ${at}: ${told}` };
  }
  if (mode === "detect") return { kind: "drifted", commit, message: `the fleet differs from ${at}: ${told}` };
  checkBeforeApply(plan);
  if (hold !== undefined) return heldBack(hold, { commit, message: `${at} waits: ${told}`, inSync: false });
  return applyNow(plan, action, told);
}

function noteTrue(commit: string, { memory, loaded, options }: Action): void {
  memory.lastTrue = commit;
  if (memory.toldTrue === commit) return;
  memory.toldTrue = commit;
  options.onTrue?.(loaded);
}

const incomplete = ({ unplaced, unknown, deferred }: PlanDocument, commit: string): RoundOutcome => ({
  kind: "failed",
  reason: "Incomplete",
  commit,
  message: `${unplaced.length + unknown.length + deferred.length} of the models of ${commit.slice(0, 8)} have no place now`,
});

const heldBack = (
  { reason, message: why, untilMs }: Hold,
  {
    commit,
    message,
    inSync,
  }: { readonly commit: string; readonly message: string; readonly inSync: boolean },
): RoundOutcome => ({
  kind: "held-back",
  reason,
  commit,
  message: `${message}; ${why}`,
  until_ms: untilMs,
  in_sync: inSync,
});

async function applyNow(plan: PlanDocument, action: Action, summary: string): Promise<RoundOutcome> {
  const { options, memory, signal, signedBy, commit } = action;
  const { environment, operator, clock } = options;
  const git = fleetGit(environment);
  const store = await openLockStore(plan.fleet, [{ path: options.place, ref: commit }], {
    git,
    environment,
    operator,
  });
  options.onApply?.({ commit, summary });
  const neuronAccess = await options.neuronAccess();
  const lease = createNeuronLease({ fleet: plan.fleet, neurons: plan.neurons, clock, access: neuronAccess });
  const course = new ApplyOnRecord(plan, {
    store,
    lease,
    operation: "reconcile",
    operator,
    clock,
    summary,
    signedBy,
    apply: { onEvent: () => undefined, signal, neuronAccess },
  });
  const { result } = await course.run();
  if (result.applied.length > 0) memory.lastApplied = commit;
  memory.driftSeen = false;
  const at = commit.slice(0, 8);
  if (result.failed.length + result.not_started.length > 0) {
    const [first] = result.failed;
    const why = first === undefined ? (result.not_started[0]?.reason ?? "") : first.error.message;
    const figures = `${result.applied.length} applied, ${result.failed.length} failed, ${result.not_started.length} not started`;
    return { kind: "failed", reason: "ApplyFailed", commit, message: `${at}: ${figures}: ${why}` };
  }
  if (!isSettled(plan)) return incomplete(plan, commit);
  noteTrue(commit, action);
  return { kind: "applied", commit, message: `${at} applied: ${summary}` };
}

function summaryOf(plan: PlanDocument): string {
  const kinds = Map.groupBy(plan.changes, ({ kind }) => kind);
  return [...kinds].map(([kind, changes]) => `${changes.length} to ${kind}`).join(", ");
}
