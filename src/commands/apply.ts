import { Args, Flags } from "@oclif/core";
import { ApplyOutput } from "../cli/apply-output.ts";
import { FleetCommand } from "../cli/fleet-command.ts";
import {
  configFlag,
  durationFlag,
  apiKeyFileFlag,
  gatewayUrlFlag,
  metricsUrlFlag,
  neuronTokenFileFlag,
  refFlag,
  targetFlag,
} from "../cli/flags/fleet-flags.ts";
import { CortexError } from "../core/errors.ts";
import type { PlanDocument } from "../protocol/plan-document.ts";

export default class ApplyCommand extends FleetCommand {
  static override summary = "carry out the plan: load and unload until the fleet is as declared";
  static override description =
    "Shows the plan and asks before it changes anything. Every step can be repeated: after a failure or Ctrl-C the next apply goes on where this one stopped. A step that fails holds up only what depends on it. The first Ctrl-C finishes what runs, the second ends at once.";
  static override examples = [
    "<%= config.bin %> apply --config fleet/",
    "<%= config.bin %> apply --config fleet/ --yes --json",
    "<%= config.bin %> apply plan.json --yes     # a plan saved with `plan --out`; stale neurons refuse",
  ];
  static override args = { plan: Args.string({ description: "a plan saved with `cortex plan --out`" }) };
  static override flags = {
    config: configFlag,
    ref: refFlag("apply this revision of the fleet repository"),
    target: targetFlag("change only this model and what its changes depend on"),
    yes: Flags.boolean({ char: "y", summary: "do not ask" }),
    parallelism: Flags.integer({ default: 10, min: 1, summary: "neurons that are changed at once" }),
    "max-unload": Flags.integer({
      helpValue: "PERCENT",
      min: 0,
      max: 100,
      summary: "most of what is loaded that may be taken away; default: max_unload_percent of [gitops]",
    }),
    timeout: durationFlag(
      "timeout",
      "most time for all of it, as 30m or 2h: then nothing more is started; default: as long as it takes",
    ),
    "step-timeout": durationFlag(
      "step-timeout",
      "most time that a load or unload may go on without any progress; default: 10m",
    ),
    "allow-protected": Flags.boolean({ summary: "also take down models with protect = true" }),
    gateway: gatewayUrlFlag,
    "api-key-file": apiKeyFileFlag,
    "metrics-url": metricsUrlFlag,
    "neuron-token-file": neuronTokenFileFlag,
  };

  protected override readonly writesEvents = true;
  #endsNow = false;

  /** Ended by a second Ctrl-C, it leaves steps that are still followed; waiting for them is what was refused. */
  override async catch(thrown: Error): Promise<void> {
    await super.catch(thrown);
    if (this.#endsNow) process.exit();
  }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(ApplyCommand);
    const [{ applyPlan }, { checkBeforeApply }, { systemClock }] = await Promise.all([
      import("../controller/apply/io/apply-plan.ts"),
      import("../controller/apply/check-before-apply.ts"),
      import("../platform/system-clock.ts"),
    ]);
    const plan = args.plan === undefined ? await this.#freshPlan(flags) : await savedPlan(args.plan, flags);
    const output = new ApplyOutput({ json: this.jsonEnabled(), colour: this.environment.colour });
    await output.accompany(plan, {
      check: () => checkBeforeApply(plan, { maxUnloadPercent: flags["max-unload"] }),
      asks: !flags.yes,
      apply: async (watched) =>
        applyPlan(plan, {
          ...watched,
          clock: systemClock,
          neuronToken: await this.readToken(flags["neuron-token-file"]),
          parallelism: flags.parallelism,
          allowProtected: flags["allow-protected"],
          maxUnloadPercent: flags["max-unload"],
          timeoutMs: flags.timeout,
          stepTimeoutMs: flags["step-timeout"],
        }),
      onEndNow: () => {
        this.#endsNow = true;
      },
    });
  }

  async #freshPlan(flags: PlanFlags): Promise<PlanDocument> {
    const [{ makePlan }, { planDeps }, { systemClock }] = await Promise.all([
      import("../controller/plan/io/make-plan.ts"),
      import("../controller/plan/io/plan-deps.ts"),
      import("../platform/system-clock.ts"),
    ]);
    const options = {
      path: flags.config,
      ref: flags.ref,
      targets: flags.target,
      neuronToken: () => this.readToken(flags["neuron-token-file"]),
      gatewayUrl: flags.gateway,
      apiKey: () => this.readToken(flags["api-key-file"]),
      metricsUrl: flags["metrics-url"],
    };
    return this.whileAsking(makePlan(options, planDeps(systemClock, this.environment)));
  }
}

interface PlanFlags {
  readonly config: string;
  readonly ref?: string | undefined;
  readonly target?: readonly string[] | undefined;
  readonly gateway?: string | undefined;
  readonly "api-key-file"?: string | undefined;
  readonly "metrics-url"?: string | undefined;
  readonly "neuron-token-file"?: string | undefined;
}

async function savedPlan(path: string, flags: PlanFlags): Promise<PlanDocument> {
  if (flags.ref !== undefined || flags.target !== undefined)
    throw new CortexError("usage_error", "a saved plan has its revision and its targets", {
      next: "leave out --ref and --target, or make another plan: cortex plan --out FILE",
    });
  const { readSavedPlan } = await import("../controller/observe/io/snapshot-file.ts");
  return readSavedPlan(path);
}
