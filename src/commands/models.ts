import { BaseCommand } from "../cli/base-command.ts";
import { apiKeyFileFlag, endpointFlag, intervalFlag, watchFlag } from "../cli/flags/fleet-flags.ts";
import { modelsView, type ModelsReport } from "../cli/tables/models-table.ts";

export default class ModelsCommand extends BaseCommand {
  static override summary = "every model: its copies, slots, queue, speed, and why it is where it is";
  static override description =
    "Asks the gateway. Where the fleet declares keys, the key must have the admin role. In a terminal, columns that have no room are left out.";
  static override examples = [
    "<%= config.bin %> models",
    "<%= config.bin %> models --watch --interval 5s",
    "<%= config.bin %> models --json | jq '.models[] | select(.state == \"missing\") | .id'",
  ];
  static override flags = {
    gateway: endpointFlag,
    "api-key-file": apiKeyFileFlag,
    watch: watchFlag,
    interval: intervalFlag,
  };

  async run(): Promise<ModelsReport | undefined> {
    const { flags } = await this.parse(ModelsCommand);
    const [{ readFleetState }, { systemClock }] = await Promise.all([
      import("../client/io/read-fleet.ts"),
      import("../platform/system-clock.ts"),
    ]);
    const gateway = {
      baseUrl: flags.gateway.replace(/\/+$/, ""),
      apiKey: await this.readToken(flags["api-key-file"]),
      clock: systemClock,
    };
    return this.presentOrWatch(flags, async () => modelsView(await readFleetState(gateway)));
  }
}
