import * as Args from "@oclif/core/args";
import { FleetCommand } from "../cli/fleet-command.ts";
import { configFlag } from "../cli/flags/fleet-flags.ts";
import { blameView } from "../cli/view/blame-view.ts";
import type { BlameRow } from "../controller/history/blame.ts";

/** A model that was not touched for as many applies was put there by nobody who is still asked. */
const MOST_ENTRIES = 2000;

export default class BlameCommand extends FleetCommand {
  static override summary = "who last loaded, replaced or unloaded a model, on each neuron";
  static override examples = ["<%= config.bin %> blame Qwen/Qwen3-8B --config fleet/"];
  static override args = {
    model: Args.string({ required: true, description: "id of the model, or an alias" }),
  };
  static override flags = { config: configFlag };

  async run(): Promise<{ readonly model: string; readonly changes: readonly BlameRow[] }> {
    const { args, flags } = await this.parse(BlameCommand);
    const [{ readHistory }, { blameModel }] = await Promise.all([
      import("../controller/history/io/read-history.ts"),
      import("../controller/history/blame.ts"),
    ]);
    const { fleet } = await this.loadFleet({ path: flags.config });
    const model = Object.hasOwn(fleet.aliases, args.model)
      ? (fleet.aliases[args.model] ?? args.model)
      : args.model;
    const location = { path: flags.config, repo: fleet.gitops.repo, fleet: fleet.fleet.name };
    const items = await readHistory({ ...location, most: MOST_ENTRIES }, this.environment);
    return this.present(blameView({ model, changes: blameModel(items, model) }));
  }
}
