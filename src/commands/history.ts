import { Flags } from "@oclif/core";
import { FleetCommand } from "../cli/fleet-command.ts";
import { configFlag } from "../cli/flags/fleet-flags.ts";
import { historyView } from "../cli/view/history-view.ts";
import type { HistoryItem } from "../controller/history/history-item.ts";

export default class HistoryCommand extends FleetCommand {
  static override summary = "who applied which revision, when, and with what result";
  static override description =
    "Read from refs/cortex/applied/<fleet> of the fleet repository's remote, where each apply leaves a commit; `git log` and `git show` read it as well.";
  static override examples = [
    "<%= config.bin %> history --config fleet/",
    "<%= config.bin %> history --max 5 --json | jq '.[].entry.record.steps'",
  ];
  static override flags = {
    config: configFlag,
    max: Flags.integer({ default: 20, min: 1, summary: "how many, the latest first" }),
  };

  async run(): Promise<readonly HistoryItem[]> {
    const { flags } = await this.parse(HistoryCommand);
    const { readHistory } = await import("../controller/history/io/read-history.ts");
    const { fleet } = await this.loadFleet({ path: flags.config });
    const location = {
      path: flags.config,
      repo: fleet.gitops.repo,
      fleet: fleet.fleet.name,
      most: flags.max,
    };
    return this.present(historyView(await readHistory(location, this.environment), fleet.fleet.name));
  }
}
