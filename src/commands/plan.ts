import { writeFile } from "node:fs/promises";
import { Flags } from "@oclif/core";
import { BaseCommand, configFlag, neuronTokenFileFlag } from "../cli/base-command.ts";
import { printPlan } from "../cli/print-plan.ts";
import { EXIT } from "../core/errors.ts";
import type { PlanDocument } from "../protocol/plan-document.ts";

export default class PlanCommand extends BaseCommand {
  static override summary = "show what apply would change, and why; changes nothing";
  static override description =
    "Reads the fleet files, asks every neuron what it holds, and prints the difference. A neuron that does not answer is unknown, never empty.";
  static override examples = [
    "<%= config.bin %> plan --config fleet/",
    "<%= config.bin %> plan --config fleet/ --ref origin/main",
    "<%= config.bin %> plan --detailed-exitcode --out plan.json   # 0 nothing to do, 2 changes, 1 error",
  ];
  static override flags = {
    config: configFlag,
    ref: Flags.string({
      helpValue: "REV",
      summary: "plan this revision of the fleet repository instead of the work tree",
    }),
    out: Flags.string({ helpValue: "FILE", summary: "save the plan for `cortex apply FILE`" }),
    "detailed-exitcode": Flags.boolean({
      summary: "exit 2 when something would change, 0 when nothing would",
    }),
    "neuron-token-file": neuronTokenFileFlag,
  };

  async run(): Promise<PlanDocument> {
    const { flags } = await this.parse(PlanCommand);
    const { makePlan } = await import("../controller/io/make-plan.ts");
    const plan = await makePlan({
      path: flags.config,
      ref: flags.ref,
      environment: this.environment,
      neuronTokenFile: flags["neuron-token-file"],
    });
    this.show(printPlan(plan, { colour: this.environment.colour }));
    if (flags.out !== undefined) {
      await writeFile(flags.out, `${JSON.stringify(plan, undefined, 2)}\n`);
      this.remark(`Saved. Carry it out with: cortex apply ${flags.out}`);
    }
    if (flags["detailed-exitcode"] && plan.changes.length > 0) process.exitCode = EXIT.changesPending;
    return plan;
  }
}
