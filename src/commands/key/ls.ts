import { FleetCommand } from "../../cli/fleet-command.ts";
import { configFlag } from "../../cli/flags/fleet-flags.ts";
import { keysView, type ListedKey } from "../../cli/view/keys-view.ts";

export default class KeyLsCommand extends FleetCommand {
  static override summary = "the keys that the fleet files declare, and what each may do";
  static override examples = [
    "<%= config.bin %> key ls --config fleet/",
    "<%= config.bin %> key ls --json | jq -r '.[].id'",
  ];
  static override flags = { config: configFlag };

  async run(): Promise<readonly ListedKey[]> {
    const { flags } = await this.parse(KeyLsCommand);
    const { fleet } = await this.loadFleet({ path: flags.config });
    return this.present(keysView(fleet.keys));
  }
}
