import type { Clock } from "../../../core/clock.ts";
import { errorKind, toCortexError, type CortexError, type ErrorCode } from "../../../core/errors.ts";
import type { PlanDocument } from "../../../protocol/plan-document.ts";
import { isSeen } from "../../../protocol/plan-settled.ts";
import type { Operator } from "../../../protocol/refs/lock-record.ts";
import { openBranch, type FleetBranch, type SignatureRule } from "../../../repository/io/fleet-branch.ts";
import { fleetGit } from "../../../repository/io/fleet-git.ts";
import type { LoadedFleet } from "../../../repository/io/load-fleet.ts";
import { checkBeforeApply } from "../../apply/check-before-apply.ts";
import { ApplyOnRecord } from "../../history/io/apply-on-record.ts";
import { readRecorded } from "../../history/io/read-recorded.ts";
import { readHistory } from "../../history/io/read-history.ts";
import { openLockStore } from "../../lock/io/open-lock.ts";
import { makePlan, type KeptHistory } from "../../plan/io/make-plan.ts";
import { planDeps } from "../../plan/io/plan-deps.ts";
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
  readonly neuronToken: () => Promise<string | undefined>;
  readonly gatewayUrl: string | undefined;
  readonly metricsUrl: string | undefined;
  readonly apiKey: () => Promise<string | undefined>;
}

/** What a round leaves for the next one. */
export interface RoundMemory {
  /** The last commit that was found or made true; undefined before the history was read. */
  lastApplied: string | undefined;
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
    const plan = await planOf(options, commit);
    return await actOn(plan, { loaded, options, memory, signal, signedBy, commit });
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
    memory.lastApplied = await lastApplied(loaded, options);
    memory.hasReadHistory = true;
  }
  const applied = memory.lastApplied;
  if (applied === undefined || (await branch.descendsFrom(applied))) return;
  // Somebody may have applied the new line by hand meanwhile, and so decided.
  memory.lastApplied = await lastApplied(loaded, options);
  if (memory.lastApplied === undefined || (await branch.descendsFrom(memory.lastApplied))) return;
  throw new Refusal(
    "HistoryRewritten",
    `the branch was pushed by force: ${branch.commit.slice(0, 8)} does not contain ${applied.slice(0, 8)}, which was applied last. If that is meant: cortex apply --config ${options.place}`,
  );
}

async function lastApplied({ fleet }: LoadedFleet, options: RoundOptions): Promise<string | undefined> {
  const location = { path: options.place, fleet: fleet.fleet.name, most: 20 };
  const items = await readHistory(location, options.environment);
  return items.flatMap(({ entry }) => entry?.record.revision.commit ?? [])[0];
}

function planOf(options: RoundOptions, commit: string): Promise<PlanDocument> {
  const { place, clock, environment, neuronToken, gatewayUrl, metricsUrl, apiKey } = options;
  const recorded = (kept: KeptHistory) => readRecorded(kept, environment);
  const view = { path: place, ref: commit, neuronToken, gatewayUrl, metricsUrl, apiKey, recorded };
  return makePlan(view, planDeps(clock, environment));
}

interface Action extends Situation {
  readonly signal: AbortSignal;
  readonly signedBy: string | null;
  readonly commit: string;
}

async function actOn(plan: PlanDocument, action: Action): Promise<RoundOutcome> {
  const { loaded, options, memory, commit } = action;
  const at = commit.slice(0, 8);
  if (!isSeen(plan))
    return { kind: "failed", reason: "FleetUnavailable", commit, message: `no neuron answers; ${at} waits` };
  const isKnown = memory.lastApplied === commit;
  if (plan.changes.length === 0) {
    memory.driftSeen = false;
    memory.lastApplied = commit;
    const open = plan.unplaced.length + plan.unknown.length + plan.deferred.length;
    if (open > 0)
      return {
        kind: "failed",
        reason: "Incomplete",
        commit,
        message: `${open} copies of ${at} have no place now`,
      };
    return { kind: "in-sync", commit, message: `the fleet is as ${at} declares` };
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
  return applyNow(plan, action, told);
}

async function applyNow(plan: PlanDocument, action: Action, summary: string): Promise<RoundOutcome> {
  const { options, memory, signal, signedBy, commit } = action;
  const { environment, operator, clock } = options;
  const git = fleetGit(environment);
  const store = await openLockStore(plan.fleet, [{ path: options.place, ref: commit }], {
    git,
    environment,
    operator,
  });
  const course = new ApplyOnRecord(plan, {
    store,
    operation: "reconcile",
    operator,
    clock,
    summary,
    signedBy,
    apply: { onEvent: () => undefined, signal, neuronToken: await options.neuronToken() },
  });
  const { result } = await course.run();
  const at = commit.slice(0, 8);
  if (result.failed.length + result.not_started.length > 0) {
    const [first] = result.failed;
    const why = first === undefined ? (result.not_started[0]?.reason ?? "") : first.error.message;
    const figures = `${result.applied.length} applied, ${result.failed.length} failed, ${result.not_started.length} not started`;
    return { kind: "failed", reason: "ApplyFailed", commit, message: `${at}: ${figures}: ${why}` };
  }
  memory.lastApplied = commit;
  memory.driftSeen = false;
  return { kind: "applied", commit, message: `${at} applied: ${summary}` };
}

function summaryOf(plan: PlanDocument): string {
  const kinds = Map.groupBy(plan.changes, ({ kind }) => kind);
  return [...kinds].map(([kind, changes]) => `${changes.length} to ${kind}`).join(", ");
}
