import * as Flags from "@oclif/core/flags";
import { FleetCommand } from "../cli/fleet-command.ts";
import { configFlag } from "../cli/flags/fleet-flags.ts";
import { accuracyView } from "../cli/view/accuracy-view.ts";
import { historyView } from "../cli/view/history-view.ts";
import type { HistoryItem } from "../controller/history/history-item.ts";
import type { PredictionAccuracy } from "../protocol/refs/prediction-accuracy.ts";

const MOST_LISTED = 20;
const MOST_JUDGED = 200;

export default class HistoryCommand extends FleetCommand {
  static override summary = "who applied which revision, when, and with what result";
  static override description =
    "Read from refs/cortex/applied/<fleet> of the fleet repository's remote, where each apply leaves a commit; `git log` and `git show` read it as well.";
  static override examples = [
    "<%= config.bin %> history --config fleet/",
    "<%= config.bin %> history --accuracy",
    "<%= config.bin %> history --max 5 --json | jq '.[].entry.record.steps'",
  ];
  static override flags = {
    config: configFlag,
    max: Flags.integer({ min: 1, summary: "how many, the latest first; default: 20, for --accuracy 200" }),
    accuracy: Flags.boolean({
      summary: "how well plans foretold seconds, memory and bytes, by what applies then measured",
    }),
  };

  async run(): Promise<readonly HistoryItem[] | PredictionAccuracy> {
    const { flags } = await this.parse(HistoryCommand);
    const { readHistory } = await import("../controller/history/io/read-history.ts");
    const { fleet } = await this.loadFleet({ path: flags.config });
    const location = {
      path: flags.config,
      repo: fleet.gitops.repo,
      fleet: fleet.fleet.name,
      most: flags.max ?? (flags.accuracy ? MOST_JUDGED : MOST_LISTED),
    };
    const items = await readHistory(location, this.environment);
    const { name } = fleet.fleet;
    if (!flags.accuracy) return this.present(historyView(items, name));
    const { predictionAccuracy } = await import("../controller/apply/prediction-accuracy.ts");
    const records = items.flatMap(({ entry }) => entry?.record ?? []);
    return this.present(accuracyView(predictionAccuracy(records), name));
  }
}
