import { Args, Flags } from "@oclif/core";
import { ApplyOutput } from "../cli/apply-output.ts";
import { BaseCommand, configFlag, metricsUrlFlag, neuronTokenFileFlag } from "../cli/base-command.ts";
import { CortexError } from "../core/errors.ts";
import type { PlanDocument } from "../protocol/plan-document.ts";

export default class ApplyCommand extends BaseCommand {
  static override summary = "carry out the plan: load and unload until the fleet is as declared";
  static override description =
    "Shows the plan and asks before it changes anything. Every step can be repeated: after a failure or Ctrl-C the next apply goes on where this one stopped. The first Ctrl-C finishes what runs, the second ends at once.";
  static override examples = [
    "<%= config.bin %> apply --config fleet/",
    "<%= config.bin %> apply --config fleet/ --yes --json",
    "<%= config.bin %> apply plan.json --yes     # a plan saved with `plan --out`; stale neurons refuse",
  ];
  static override args = { plan: Args.string({ description: "a plan saved with `cortex plan --out`" }) };
  static override flags = {
    config: configFlag,
    ref: Flags.string({ helpValue: "REV", summary: "apply this revision of the fleet repository" }),
    target: Flags.string({
      helpValue: "MODEL",
      multiple: true,
      summary: "change only this model and what its changes depend on",
    }),
    yes: Flags.boolean({ char: "y", summary: "do not ask" }),
    parallelism: Flags.integer({ default: 10, min: 1, summary: "neurons that are changed at once" }),
    "max-unload": Flags.integer({
      helpValue: "PERCENT",
      min: 0,
      max: 100,
      summary: "most of what is loaded that may be taken away; default: max_unload_percent of [gitops]",
    }),
    "allow-protected": Flags.boolean({ summary: "also take down models with protect = true" }),
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
    const [{ applyPlan }, { checkBeforeApply }, { listenForShutdown }, { systemClock }, { readTokenFile }] =
      await Promise.all([
        import("../controller/apply/io/apply-plan.ts"),
        import("../controller/apply/check-before-apply.ts"),
        import("../platform/shutdown.ts"),
        import("../platform/system-clock.ts"),
        import("../platform/token-file.ts"),
      ]);
    const output = new ApplyOutput({ json: this.jsonEnabled(), colour: this.environment.colour });
    const plan = await this.#plan(args.plan, flags);
    output.showPlan(plan);
    if (plan.changes.length > 0) {
      checkBeforeApply(plan, { maxUnloadPercent: flags["max-unload"] });
      if (!flags.yes) await output.confirm(plan);
      const shutdown = listenForShutdown();
      const tokenFile = flags["neuron-token-file"];
      const applied = applyPlan(plan, {
        clock: systemClock,
        neuronToken: tokenFile === undefined ? undefined : await readTokenFile(tokenFile),
        parallelism: flags.parallelism,
        allowProtected: flags["allow-protected"],
        maxUnloadPercent: flags["max-unload"],
        signal: shutdown.first,
        onEvent: (event) => {
          output.showEvent(event);
        },
      });
      try {
        output.showResult(await Promise.race([applied, output.interruption(shutdown)]));
      } finally {
        shutdown.dispose();
        this.#endsNow = shutdown.second.aborted;
      }
    }
    output.finish(plan);
  }

  async #plan(
    saved: string | undefined,
    flags: {
      readonly config: string;
      readonly ref?: string | undefined;
      readonly target?: readonly string[] | undefined;
      readonly "metrics-url"?: string | undefined;
      readonly "neuron-token-file"?: string | undefined;
    },
  ): Promise<PlanDocument> {
    if (saved !== undefined) {
      if (flags.ref !== undefined || flags.target !== undefined)
        throw new CortexError("usage_error", "a saved plan has its revision and its targets", {
          next: "leave out --ref and --target, or make another plan: cortex plan --out FILE",
        });
      const { readSavedPlan } = await import("../controller/observe/io/snapshot-file.ts");
      return readSavedPlan(saved);
    }
    const { makePlan } = await import("../controller/plan/io/make-plan.ts");
    return this.whileAsking(
      makePlan({
        path: flags.config,
        ref: flags.ref,
        targets: flags.target,
        environment: this.environment,
        metricsUrl: flags["metrics-url"],
        neuronTokenFile: flags["neuron-token-file"],
      }),
    );
  }
}
