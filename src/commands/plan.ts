import * as Flags from "@oclif/core/flags";
import { FleetCommand } from "../cli/fleet-command.ts";
import {
  configFlag,
  exceptFlag,
  apiKeyFileFlag,
  gatewayUrlFlag,
  metricsUrlFlag,
  neuronTokenFileFlag,
  refFlag,
  targetFlag,
} from "../cli/flags/fleet-flags.ts";
import { planView } from "../cli/view/plan-view.ts";
import { EXIT } from "../core/errors.ts";
import type { KeptHistory } from "../controller/plan/io/make-plan.ts";
import type { PlanDocument } from "../protocol/plan-document.ts";
import { leavesAsDeclared } from "../protocol/plan-settled.ts";

export default class PlanCommand extends FleetCommand {
  static override summary = "show what apply would change, and why; changes nothing";
  static override description =
    "Reads the fleet files, asks every neuron what it holds, and prints the difference. A neuron that does not answer is unknown, never empty.";
  static override examples = [
    "<%= config.bin %> plan --config fleet/",
    "<%= config.bin %> plan --config fleet/ --ref origin/main",
    "<%= config.bin %> plan --detailed-exitcode --out plan.json   # 0 as declared, 2 changes, 1 error",
    "<%= config.bin %> plan --base origin/main --against snapshot.json --markdown   # the comment of a pull request",
    "<%= config.bin %> plan --target Qwen/Qwen3-8B",
    "<%= config.bin %> plan --except example/large",
    "<%= config.bin %> plan show plan.json",
    "<%= config.bin %> plan verify plan.json --against snapshot.json",
  ];
  static override flags = {
    config: configFlag,
    ref: refFlag("plan this revision of the fleet repository instead of the work tree"),
    base: refFlag("tell apart what this branch changes and what is pending at REV anyway"),
    target: targetFlag("confine the plan to this model and what its changes depend on"),
    except: exceptFlag,
    against: Flags.string({
      helpValue: "FILE",
      summary: "plan on this snapshot; the fleet is not asked and no credentials are needed",
    }),
    markdown: Flags.boolean({
      summary: "print the body of a pull request's comment",
      exclusive: ["json"],
    }),
    out: Flags.string({ helpValue: "FILE", summary: "save the plan for `cortex apply FILE`" }),
    "detailed-exitcode": Flags.boolean({
      summary: "exit 2 when something would change or is left open, 0 when the fleet is as declared",
    }),
    prove: Flags.boolean({
      summary:
        "let a solver look for a better placement and prove it; seconds for small fleets, minutes for large ones",
      description:
        "Needs the optional package highs. Fleets with up to some 15,000 pairs of a copy and a device are proved as a whole; larger ones are improved part by part.",
    }),
    gateway: gatewayUrlFlag,
    "api-key-file": apiKeyFileFlag,
    "metrics-url": metricsUrlFlag,
    "neuron-token-file": neuronTokenFileFlag,
  };

  async run(): Promise<PlanDocument> {
    const { flags } = await this.parse(PlanCommand);
    const [{ readRecorded }, { makePlan }, { planDeps }, { systemClock }] = await Promise.all([
      import("../controller/history/io/read-recorded.ts"),
      import("../controller/plan/io/make-plan.ts"),
      import("../controller/plan/io/plan-deps.ts"),
      import("../platform/system-clock.ts"),
    ]);
    const options = {
      path: flags.config,
      ref: flags.ref,
      base: flags.base,
      targets: flags.target,
      except: flags.except,
      against: flags.against,
      prove: flags.prove ? (progress: string) => this.remark(progress) : undefined,
      neuronAccess: () => this.neuronAccess(flags["neuron-token-file"]),
      gatewayUrl: flags.gateway,
      apiKey: () => this.readToken(flags["api-key-file"]),
      metricsUrl: flags["metrics-url"],
      recorded: (kept: KeptHistory) => readRecorded(kept, this.environment),
    };
    const plan = await this.whileAsking(makePlan(options, planDeps(systemClock, this.environment)));
    const shown = this.present(planView(plan, { markdown: flags.markdown }));
    if (flags.out !== undefined) {
      const { writeJsonFile } = await import("../controller/observe/io/snapshot-file.ts");
      await writeJsonFile(flags.out, plan);
      this.remark(`Saved. Carry it out with: cortex apply ${flags.out}`);
    }
    if (plan.errored) process.exitCode = EXIT.failed;
    else if (flags["detailed-exitcode"] && !leavesAsDeclared(plan)) process.exitCode = EXIT.changesPending;
    return shown;
  }
}
