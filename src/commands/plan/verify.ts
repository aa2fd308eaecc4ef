import * as Args from "@oclif/core/args";
import * as Flags from "@oclif/core/flags";
import { BaseCommand } from "../../cli/base-command.ts";
import { verificationView } from "../../cli/view/verification-view.ts";
import { EXIT } from "../../core/errors.ts";

export default class PlanVerifyCommand extends BaseCommand {
  static override summary =
    "check a saved plan without the planner: memory at every step, pins, protection, every copy";
  static override description =
    "Works out anew whether the plan may be carried out, with code that shares nothing with the planner but the format of its files. With --against, what the plan says it saw is checked too. Exits 1 when anything is wrong.";
  static override examples = [
    "<%= config.bin %> plan verify plan.json",
    "<%= config.bin %> plan verify plan.json --against snapshot.json --json",
  ];
  static override args = {
    plan: Args.string({ required: true, description: "a plan saved with `cortex plan --out`" }),
  };
  static override flags = {
    against: Flags.string({ helpValue: "FILE", summary: "the snapshot that the plan was made from" }),
  };

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(PlanVerifyCommand);
    const [{ readSavedPlan, readSnapshot }, { verifyPlan }] = await Promise.all([
      import("../../controller/observe/io/snapshot-file.ts"),
      import("../../controller/verify/verify-plan.ts"),
    ]);
    const plan = await readSavedPlan(args.plan);
    const snapshot = flags.against === undefined ? undefined : await readSnapshot(flags.against);
    const verified = verifyPlan(plan, snapshot);
    const about = { changes: plan.changes.length, againstSnapshot: snapshot !== undefined };
    if (verified.findings.length > 0) process.exitCode = EXIT.failed;
    return this.present(verificationView(verified, about));
  }
}
