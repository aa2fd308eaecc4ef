import * as Args from "@oclif/core/args";
import * as Flags from "@oclif/core/flags";
import { BaseCommand } from "../../cli/base-command.ts";
import { planView } from "../../cli/view/plan-view.ts";
import type { PlanDocument } from "../../protocol/plan-document.ts";

export default class PlanShowCommand extends BaseCommand {
  static override summary = "print a saved plan as it was shown when it was made";
  static override description =
    "Asks nobody: neither the fleet nor git. `cortex plan verify FILE` says whether the plan may be carried out.";
  static override examples = [
    "<%= config.bin %> plan show plan.json",
    "<%= config.bin %> plan show plan.json --markdown",
  ];
  static override args = {
    plan: Args.string({ required: true, description: "a plan saved with `cortex plan --out`" }),
  };
  static override flags = {
    markdown: Flags.boolean({
      summary: "print the body of a pull request's comment",
      exclusive: ["json"],
    }),
  };

  async run(): Promise<PlanDocument> {
    const { args, flags } = await this.parse(PlanShowCommand);
    const { readSavedPlan } = await import("../../controller/observe/io/snapshot-file.ts");
    return this.present(planView(await readSavedPlan(args.plan), { markdown: flags.markdown }));
  }
}
