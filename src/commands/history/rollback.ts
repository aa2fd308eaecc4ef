import * as Args from "@oclif/core/args";
import { FleetCommand } from "../../cli/fleet-command.ts";
import {
  apiKeyFileFlag,
  configFlag,
  gatewayUrlFlag,
  metricsUrlFlag,
  neuronTokenFileFlag,
} from "../../cli/flags/fleet-flags.ts";
import { planView } from "../../cli/view/plan-view.ts";
import { CortexError } from "../../core/errors.ts";
import type { KeptHistory } from "../../controller/plan/io/make-plan.ts";
import type { PlanDocument } from "../../protocol/plan-document.ts";
import type { Rollback } from "../../repository/io/make-repository.ts";

/** Enough to find a revision before the last one, behind applies that healed drift. */
const MOST_ENTRIES = 100;

export default class RollbackCommand extends FleetCommand {
  static override aliases = ["rollback"];
  static override summary =
    "make the commit that takes the fleet back to a revision, and show the plan that it will have";
  static override description =
    "The commit is on a branch of its own, in the clone: nothing is checked out, pushed or applied. Rolling back is a commit like any other, so that the reconcile loop does not undo it.";
  static override examples = [
    "<%= config.bin %> rollback --config fleet/            # to what was applied before the last apply",
    "<%= config.bin %> rollback 3fa1c09 --config fleet/",
  ];
  static override args = {
    revision: Args.string({ description: "default: the revision before the last applied one" }),
  };
  static override flags = {
    config: configFlag,
    gateway: gatewayUrlFlag,
    "api-key-file": apiKeyFileFlag,
    "metrics-url": metricsUrlFlag,
    "neuron-token-file": neuronTokenFileFlag,
  };

  async run(): Promise<{ readonly rollback: Rollback; readonly plan: PlanDocument }> {
    const { args, flags } = await this.parse(RollbackCommand);
    const [{ readRecorded }, { commitRollback }, { makePlan }, { planDeps }, { systemClock }] =
      await Promise.all([
        import("../../controller/history/io/read-recorded.ts"),
        import("../../repository/io/make-repository.ts"),
        import("../../controller/plan/io/make-plan.ts"),
        import("../../controller/plan/io/plan-deps.ts"),
        import("../../platform/system-clock.ts"),
      ]);
    const { operator } = this.environment;
    const author = { name: operator.user, email: `${operator.user}@${operator.host}` };
    const ref = args.revision ?? (await this.#revisionBefore(flags.config));
    const rollback = await commitRollback({ path: flags.config, ref, author }, this.environment);
    const options = {
      path: flags.config,
      ref: rollback.commit,
      neuronAccess: () => this.neuronAccess(flags["neuron-token-file"]),
      gatewayUrl: flags.gateway,
      apiKey: () => this.readToken(flags["api-key-file"]),
      metricsUrl: flags["metrics-url"],
      recorded: (kept: KeptHistory) => readRecorded(kept, this.environment),
    };
    const plan = await this.whileAsking(makePlan(options, planDeps(systemClock, this.environment)));
    this.present(planView(plan, { markdown: false }));
    this.remark(
      `The branch ${rollback.branch} has the commit. To roll back: git merge --ff-only ${rollback.branch} && git push, then cortex apply (or the loop does it).`,
    );
    return { rollback, plan };
  }

  /** The last applied revision that is another one than the present. */
  async #revisionBefore(path: string): Promise<string> {
    const { readHistory } = await import("../../controller/history/io/read-history.ts");
    const { fleet } = await this.loadFleet({ path });
    const location = { path, repo: fleet.gitops.repo, fleet: fleet.fleet.name, most: MOST_ENTRIES };
    const items = await readHistory(location, this.environment);
    const commits = items.flatMap(({ entry }) => entry?.record.revision.commit ?? []);
    const before = commits.find((commit) => commit !== commits[0]);
    if (before !== undefined) return before;
    throw new CortexError(
      "history_not_kept",
      `the history of ${fleet.fleet.name} has no revision before the last`,
      {
        next: "name the revision: cortex rollback REV",
      },
    );
  }
}
