import * as Flags from "@oclif/core/flags";
import { FleetCommand } from "../cli/fleet-command.ts";
import { configFlag, intervalFlag, neuronTokenFileFlag, watchFlag } from "../cli/flags/fleet-flags.ts";
import { jobsView } from "../cli/tables/jobs-table.ts";
import type { JobsReport } from "../protocol/status-report.ts";

export default class JobsCommand extends FleetCommand {
  static override summary =
    "loads and unloads that the neurons remember: how far they are, and how they ended";
  static override description =
    "Asks every neuron of the fleet files. A neuron that does not answer is named; the others are shown all the same.";
  static override examples = [
    "<%= config.bin %> jobs --config fleet/",
    "<%= config.bin %> jobs --config fleet/ --watch",
    "<%= config.bin %> jobs --config fleet/ --on beast --json | jq '.jobs[] | select(.state == \"failed\") | .error'",
  ];
  static override flags = {
    config: configFlag,
    on: Flags.string({ helpValue: "NEURON", summary: "only those of this neuron" }),
    "neuron-token-file": neuronTokenFileFlag,
    watch: watchFlag,
    interval: intervalFlag,
  };

  async run(): Promise<JobsReport | undefined> {
    const { flags } = await this.parse(JobsCommand);
    const [{ readJobs }, { systemClock }] = await Promise.all([
      import("../controller/observe/io/read-jobs.ts"),
      import("../platform/system-clock.ts"),
    ]);
    const { fleet } = await this.loadFleet({ path: flags.config });
    const neuronAccess = await this.neuronAccess(flags["neuron-token-file"]);
    const deps = { clock: systemClock, neuronAccess, on: flags.on };
    return this.presentOrWatch(flags, async () => jobsView(await readJobs(fleet, deps)));
  }
}
