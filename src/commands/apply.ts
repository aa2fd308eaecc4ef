import * as Args from "@oclif/core/args";
import * as Flags from "@oclif/core/flags";
import { ApplyOutput } from "../cli/apply-output.ts";
import { FleetCommand } from "../cli/fleet-command.ts";
import {
  configFlag,
  durationFlag,
  exceptFlag,
  apiKeyFileFlag,
  gatewayUrlFlag,
  metricsUrlFlag,
  neuronTokenFileFlag,
  refFlag,
  targetFlag,
} from "../cli/flags/fleet-flags.ts";
import { CortexError, toCortexError } from "../core/errors.ts";
import { errorToJson } from "../cli/print/print-error.ts";
import { planSummary } from "../cli/print/plan-words.ts";
import type { ApplyOnRecord, RecordedApplyOptions } from "../controller/history/io/apply-on-record.ts";
import type { KeptHistory } from "../controller/plan/io/make-plan.ts";
import type { LockStore } from "../controller/lock/lock-store.ts";
import type { ApplyResult } from "../protocol/apply-events.ts";
import type { PlanDocument } from "../protocol/plan-document.ts";

export default class ApplyCommand extends FleetCommand {
  static override summary = "carry out the plan: load and unload until the fleet is as declared";
  static override description =
    "Shows the plan and asks before it changes anything. Every step can be repeated: after a failure or Ctrl-C the next apply goes on where this one stopped. A step that fails holds up only what depends on it. The first Ctrl-C finishes what runs, the second ends at once.";
  static override examples = [
    "<%= config.bin %> apply --config fleet/",
    "<%= config.bin %> apply --config fleet/ --yes --json",
    "<%= config.bin %> apply --config fleet/ --yes --json-into apply.ndjson",
    "<%= config.bin %> apply --except example/large --yes",
    "<%= config.bin %> apply plan.json --yes     # a plan saved with `plan --out`; stale neurons refuse",
  ];
  static override args = { plan: Args.string({ description: "a plan saved with `cortex plan --out`" }) };
  static override flags = {
    config: configFlag,
    ref: refFlag("apply this revision of the fleet repository"),
    target: targetFlag("change only this model and what its changes depend on"),
    except: exceptFlag,
    yes: Flags.boolean({ char: "y", summary: "do not ask" }),
    parallelism: Flags.integer({ default: 10, min: 1, summary: "neurons that are changed at once" }),
    "max-unload": Flags.integer({
      helpValue: "PERCENT",
      min: 0,
      max: 100,
      summary:
        "a lower limit than max_unload_percent of [gitops], for this once; what is beyond needs the next flag",
    }),
    "allow-mass-unload": Flags.integer({
      helpValue: "COPIES",
      min: 1,
      summary: "take away more than that limit: the number of copies that the plan takes away, no other",
    }),
    timeout: durationFlag(
      "timeout",
      "most time for all of it, as 30m or 2h: then nothing more is started; default: as long as it takes",
    ),
    "step-timeout": durationFlag(
      "step-timeout",
      "most time that a load or unload may go on without any progress; default: 10m",
    ),
    "lock-timeout": durationFlag(
      "lock-timeout",
      "how long another apply may hold the lock of the fleet, as 10m; default: not at all",
    ),
    "lock-ttl": durationFlag(
      "lock-ttl",
      "how long the lock outlives this process when it is killed; default: 60s",
    ),
    "no-lock": Flags.boolean({
      summary: "neither take the lock nor write the history: for a git host that is down",
      exclusive: ["lock-timeout", "lock-ttl"],
    }),
    "json-into": Flags.string({
      helpValue: "FILE",
      summary: "write the events into a file, as --json prints them, beside what people read",
      exclusive: ["json"],
    }),
    "allow-protected": Flags.boolean({ summary: "also take down models with protect = true" }),
    gateway: gatewayUrlFlag,
    "api-key-file": apiKeyFileFlag,
    "metrics-url": metricsUrlFlag,
    "neuron-token-file": neuronTokenFileFlag,
  };

  protected override readonly writesEvents = true;
  #endedNow: ApplyResult | undefined;
  #course: ApplyOnRecord | undefined;
  #output: ApplyOutput | undefined;

  /**
   * Ended by a second Ctrl-C, it leaves steps that are still followed; waiting for them is what was refused. Only the lock
   * is given back, where that takes a moment: the next apply need not wait for its end.
   */
  override async catch(thrown: Error): Promise<void> {
    this.#output?.noteError({ type: "error", ...errorToJson(toCortexError(thrown)) });
    await super.catch(thrown);
    if (this.#endedNow === undefined) return;
    const { systemClock } = await import("../platform/system-clock.ts");
    await Promise.race([
      this.#course?.close(this.#endedNow).catch(() => undefined),
      systemClock.sleep(FAREWELL_MS),
    ]);
    process.exit();
  }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(ApplyCommand);
    const { checkBeforeApply } = await import("../controller/apply/check-before-apply.ts");
    const plan = args.plan === undefined ? await this.#freshPlan(flags) : await savedPlan(args.plan, flags);
    const consent = {
      maxUnloadPercent: flags["max-unload"],
      allowMassUnload: flags["allow-mass-unload"],
    };
    const output = new ApplyOutput({
      json: this.jsonEnabled(),
      jsonInto: flags["json-into"],
      environment: this.environment,
    });
    this.#output = output;
    await output.accompany(plan, {
      check: () => checkBeforeApply(plan, consent),
      asks: !flags.yes,
      apply: async (watched) =>
        this.#applyOnRecord(plan, flags, {
          ...watched,
          neuronAccess: await this.neuronAccess(flags["neuron-token-file"]),
          parallelism: flags.parallelism,
          allowProtected: flags["allow-protected"],
          ...consent,
          timeoutMs: flags.timeout,
          stepTimeoutMs: flags["step-timeout"],
        }),
      onNothing: () => this.#clearDeadLock(plan, flags),
      onEndNow: (result) => {
        this.#endedNow = result;
      },
    });
  }

  async #applyOnRecord(
    plan: PlanDocument,
    flags: LockFlags,
    apply: RecordedApplyOptions["apply"],
  ): Promise<ApplyResult> {
    const [{ ApplyOnRecord }, { createNeuronLease }, { systemClock }] = await Promise.all([
      import("../controller/history/io/apply-on-record.ts"),
      import("../controller/lock/io/neuron-lease.ts"),
      import("../platform/system-clock.ts"),
    ]);
    const { operator } = this.environment;
    const onRemark = (text: string): void => this.#output?.tell(text);
    const course = new ApplyOnRecord(plan, {
      store: flags["no-lock"] ? undefined : await this.#openLock(plan, flags),
      lease: flags["no-lock"]
        ? undefined
        : createNeuronLease({
            fleet: plan.fleet,
            neurons: plan.neurons,
            clock: systemClock,
            access: apply.neuronAccess,
          }),
      operation: "apply",
      operator,
      clock: systemClock,
      summary: planSummary(plan),
      lockWaitMs: flags["lock-timeout"],
      lockTtlMs: flags["lock-ttl"],
      onRemark,
      apply,
    });
    this.#course = course;
    const { result, unrecorded } = await course.run();
    if (unrecorded !== undefined) onRemark(`The history has no entry of this apply: ${unrecorded}.`);
    return result;
  }

  /** Whoever was killed while it gave its lock back left nothing to apply, and a lock that frightens everybody. */
  async #clearDeadLock(plan: PlanDocument, flags: LockFlags): Promise<void> {
    if (flags["no-lock"]) return;
    const [{ clearDeadLock }, { systemClock: clock }] = await Promise.all([
      import("../controller/lock/io/clear-dead-lock.ts"),
      import("../platform/system-clock.ts"),
    ]);
    const { operator } = this.environment;
    const tell = (text: string): void => this.#output?.tell(text);
    const asked = { fleet: plan.fleet, operation: "apply", revision: plan.revision.commit, operator, clock };
    // Nothing was to be done, so nothing has failed where the lock cannot be looked at.
    const removed = await this.#openLock(plan, flags)
      .then((store) => store && clearDeadLock(store, { ...asked, onWait: tell }))
      .catch(() => undefined);
    if (removed !== undefined) tell(`Removed the lock ${removed}, whose holder is gone.`);
  }

  /** Of the fleet that the plan is about: a saved plan may be carried out anywhere. */
  async #openLock(plan: PlanDocument, flags: LockFlags): Promise<LockStore | undefined> {
    const [{ openLockStore }, { fleetGit }] = await Promise.all([
      import("../controller/lock/io/open-lock.ts"),
      import("../repository/io/fleet-git.ts"),
    ]);
    const { environment } = this;
    const places = [{ path: flags.config, ref: flags.ref }, { path: plan.revision.path }];
    const deps = { git: fleetGit(environment), environment, operator: environment.operator };
    return openLockStore(plan.fleet, places, deps);
  }

  async #freshPlan(flags: PlanFlags): Promise<PlanDocument> {
    const [{ readRecorded }, { makePlan }, { planDeps }, { systemClock }] = await Promise.all([
      import("../controller/history/io/read-recorded.ts"),
      import("../controller/plan/io/make-plan.ts"),
      import("../controller/plan/io/plan-deps.ts"),
      import("../platform/system-clock.ts"),
    ]);
    const options = {
      path: flags.config,
      ref: flags.ref,
      targets: flags.target,
      except: flags.except,
      neuronAccess: () => this.neuronAccess(flags["neuron-token-file"]),
      gatewayUrl: flags.gateway,
      apiKey: () => this.readToken(flags["api-key-file"]),
      metricsUrl: flags["metrics-url"],
      recorded: (kept: KeptHistory) => readRecorded(kept, this.environment),
    };
    return this.whileAsking(makePlan(options, planDeps(systemClock, this.environment)));
  }
}

/** A push takes a second or two; nobody waits longer after a second Ctrl-C. */
const FAREWELL_MS = 4000;

interface LockFlags {
  readonly config: string;
  readonly ref?: string | undefined;
  readonly "no-lock": boolean;
  readonly "lock-timeout"?: number | undefined;
  readonly "lock-ttl"?: number | undefined;
}

interface PlanFlags {
  readonly config: string;
  readonly ref?: string | undefined;
  readonly target?: readonly string[] | undefined;
  readonly except?: readonly string[] | undefined;
  readonly gateway?: string | undefined;
  readonly "api-key-file"?: string | undefined;
  readonly "metrics-url"?: string | undefined;
  readonly "neuron-token-file"?: string | undefined;
}

async function savedPlan(path: string, flags: PlanFlags): Promise<PlanDocument> {
  if ([flags.ref, flags.target, flags.except].some((flag) => flag !== undefined))
    throw new CortexError("usage_error", "a saved plan has its revision and its targets", {
      next: "leave out --ref, --target and --except, or make another plan: cortex plan --out FILE",
    });
  const { readSavedPlan } = await import("../controller/observe/io/snapshot-file.ts");
  return readSavedPlan(path);
}
