import * as Args from "@oclif/core/args";
import * as Flags from "@oclif/core/flags";
import { FleetCommand } from "../cli/fleet-command.ts";
import { configFlag, neuronTokenFileFlag, refFlag } from "../cli/flags/fleet-flags.ts";
import { whyView } from "../cli/view/why-view.ts";
import type { WhyReport } from "../protocol/why-report.ts";

export default class WhyCommand extends FleetCommand {
  static override summary = "say why a model is where it is, why not elsewhere, and what would help";
  static override description =
    "Puts the question to placement itself: for every other neuron it tries what pinning the model there would do. Changes nothing.";
  static override examples = [
    "<%= config.bin %> why Qwen/Qwen3-8B",
    "<%= config.bin %> why Qwen/Qwen3-8B --on beast",
    "<%= config.bin %> why Qwen/Qwen3-8B --against snapshot.json --json",
  ];
  static override args = {
    model: Args.string({ required: true, description: "id of a declared or loaded model" }),
  };
  static override flags = {
    config: configFlag,
    ref: refFlag("by this revision of the fleet repository"),
    on: Flags.string({ helpValue: "NEURON", summary: "only this neuron, in full" }),
    against: Flags.string({ helpValue: "FILE", summary: "ask about this snapshot instead of the fleet" }),
    "neuron-token-file": neuronTokenFileFlag,
  };

  async run(): Promise<WhyReport> {
    const { args, flags } = await this.parse(WhyCommand);
    const [{ readPlanInput }, { planDeps }, { whyModel }, { systemClock }] = await Promise.all([
      import("../controller/plan/io/make-plan.ts"),
      import("../controller/plan/io/plan-deps.ts"),
      import("../controller/plan/why-model.ts"),
      import("../platform/system-clock.ts"),
    ]);
    const view = {
      path: flags.config,
      ref: flags.ref,
      against: flags.against,
      neuronAccess: () => this.neuronAccess(flags["neuron-token-file"]),
    };
    const input = await this.whileAsking(readPlanInput(view, planDeps(systemClock, this.environment)));
    return this.present(whyView(whyModel(input, { modelId: args.model, neuron: flags.on })));
  }
}
