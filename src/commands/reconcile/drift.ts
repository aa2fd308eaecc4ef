import { FleetCommand } from "../../cli/fleet-command.ts";
import {
  apiKeyFileFlag,
  configFlag,
  gatewayUrlFlag,
  metricsUrlFlag,
  neuronTokenFileFlag,
} from "../../cli/flags/fleet-flags.ts";
import { planView } from "../../cli/view/plan-view.ts";
import { CortexError, EXIT } from "../../core/errors.ts";
import type { PlanDocument } from "../../protocol/plan-document.ts";
import { leavesAsDeclared } from "../../protocol/plan-settled.ts";

/** Enough to find the last apply behind locks that were released by hand. */
const MOST_ENTRIES = 50;

export default class DriftCommand extends FleetCommand {
  static override aliases = ["drift"];
  static override summary =
    "what changed in the fleet since its last apply, whatever was committed since; for cron";
  static override description =
    "Plans the revision that was applied last, as the history knows it, and changes nothing. Exit codes: 0 as applied, 2 drifted, 1 error.";
  static override examples = ["<%= config.bin %> drift --config fleet/", "<%= config.bin %> drift --json"];
  static override flags = {
    config: configFlag,
    gateway: gatewayUrlFlag,
    "api-key-file": apiKeyFileFlag,
    "metrics-url": metricsUrlFlag,
    "neuron-token-file": neuronTokenFileFlag,
  };

  async run(): Promise<PlanDocument> {
    const { flags } = await this.parse(DriftCommand);
    const [{ makePlan }, { planDeps }, { systemClock }, { readHistory }] = await Promise.all([
      import("../../controller/plan/io/make-plan.ts"),
      import("../../controller/plan/io/plan-deps.ts"),
      import("../../platform/system-clock.ts"),
      import("../../controller/history/io/read-history.ts"),
    ]);
    const { fleet } = await this.loadFleet({ path: flags.config });
    const location = { path: flags.config, repo: fleet.gitops.repo, fleet: fleet.fleet.name };
    const items = await readHistory({ ...location, most: MOST_ENTRIES }, this.environment);
    const [ref] = items.flatMap(({ entry }) => entry?.record.revision.commit ?? []);
    if (ref === undefined)
      throw new CortexError(
        "history_not_kept",
        `the history of ${fleet.fleet.name} has no apply of a commit`,
        {
          next: "cortex apply makes the first; cortex plan compares with the files as they are",
        },
      );
    const options = {
      path: flags.config,
      ref,
      neuronAccess: () => this.neuronAccess(flags["neuron-token-file"]),
      gatewayUrl: flags.gateway,
      apiKey: () => this.readToken(flags["api-key-file"]),
      metricsUrl: flags["metrics-url"],
    };
    const plan = await this.whileAsking(makePlan(options, planDeps(systemClock, this.environment)));
    const shown = this.present(planView(plan, { markdown: false }));
    if (plan.errored) process.exitCode = EXIT.failed;
    else if (
      plan.changes.length > 0 ||
      !leavesAsDeclared({ ...plan, declaration: { ...plan.declaration, changes: [] } })
    )
      process.exitCode = EXIT.changesPending;
    return shown;
  }
}
