import { BaseCommand } from "../cli/base-command.ts";
import { apiKeyFileFlag, endpointFlag, intervalFlag, watchFlag } from "../cli/flags/fleet-flags.ts";
import { neuronsView, type NeuronsReport } from "../cli/tables/neurons-table.ts";

export default class NeuronsCommand extends BaseCommand {
  static override summary = "every neuron: its devices, whose their memory is, and what it works on";
  static override description =
    "Asks the gateway. Where the fleet declares keys, the key must have the admin role. In a terminal, columns that have no room are left out.";
  static override examples = [
    "<%= config.bin %> neurons",
    "<%= config.bin %> neurons --watch --interval 5s",
    "<%= config.bin %> neurons --json | jq '.neurons[] | {name, free: [.devices[].free_mb]}'",
  ];
  static override flags = {
    gateway: endpointFlag,
    "api-key-file": apiKeyFileFlag,
    watch: watchFlag,
    interval: intervalFlag,
  };

  async run(): Promise<NeuronsReport | undefined> {
    const { flags } = await this.parse(NeuronsCommand);
    const [{ readFleetState }, { systemClock }] = await Promise.all([
      import("../client/io/read-fleet.ts"),
      import("../platform/system-clock.ts"),
    ]);
    const gateway = {
      baseUrl: flags.gateway.replace(/\/+$/, ""),
      apiKey: await this.readToken(flags["api-key-file"]),
      clock: systemClock,
    };
    return this.presentOrWatch(flags, async () => neuronsView(await readFleetState(gateway)));
  }
}
