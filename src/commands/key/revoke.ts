import * as Args from "@oclif/core/args";
import { FleetCommand } from "../../cli/fleet-command.ts";
import { configFlag } from "../../cli/flags/fleet-flags.ts";
import { CortexError } from "../../core/errors.ts";
import { nearest } from "../../core/nearest.ts";

export default class KeyRevokeCommand extends FleetCommand {
  static override summary = "take a key out of the fleet files";
  static override description =
    "Removes the key's [[keys]] block. Commit the change: a running gateway refuses the key by itself. What it has used stays in the ledger.";
  static override examples = ["<%= config.bin %> key revoke ci --config fleet/"];
  static override args = { id: Args.string({ required: true, description: "the key's id" }) };
  static override flags = { config: configFlag };

  async run(): Promise<{ readonly id: string; readonly file: string }> {
    const { args, flags } = await this.parse(KeyRevokeCommand);
    const { removeKeyBlock } = await import("../../repository/io/edit-keys.ts");
    const { fleet } = await this.loadFleet({ path: flags.config });
    const ids = fleet.keys.map(({ id }) => id);
    if (!ids.includes(args.id)) {
      const meant = nearest(args.id, ids);
      throw new CortexError("usage_error", `the fleet has no key ${args.id}`, {
        next: meant === undefined ? "cortex key ls lists the keys" : `did you mean ${meant}?`,
      });
    }
    const file = await removeKeyBlock(flags.config, args.id, { inherited: this.environment.inherited });
    if (file === null) {
      throw new CortexError("usage_error", `the block of ${args.id} cannot be taken out by whole lines`, {
        next: "remove it by hand, then run cortex validate",
      });
    }
    const last =
      ids.length === 1 ? "\nIt was the last one: without keys the gateway serves whoever reaches it." : "";
    this.show(
      `The key ${args.id} is out of ${file}: commit that file. A running cortex serve refuses it from now on.${last}`,
    );
    return { id: args.id, file };
  }
}
