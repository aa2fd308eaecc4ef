import * as Flags from "@oclif/core/flags";
import { BaseCommand } from "../cli/base-command.ts";
import { apiKeyFileFlag, endpointFlag, intervalFlag, watchFlag } from "../cli/flags/fleet-flags.ts";
import { USAGE_GROUPS, usageView, type UsageSummary } from "../cli/tables/usage-table.ts";

const DAY_MS = 86_400_000;

export default class UsageCommand extends BaseCommand {
  static override summary = "tokens and requests by key, model and day, and what capped keys have left";
  static override description =
    "Asks the gateway, which keeps the ledger. Where the fleet declares keys, the key must have the admin role.";
  static override examples = [
    "<%= config.bin %> usage",
    "<%= config.bin %> usage --by key --by day --days 30 --api-key-file ops.key",
    "<%= config.bin %> usage --days 1 --watch",
    "<%= config.bin %> usage --json | jq '.rows[] | {key, model, completion_tokens}'",
  ];
  static override flags = {
    gateway: endpointFlag,
    "api-key-file": apiKeyFileFlag,
    by: Flags.option({
      options: USAGE_GROUPS,
      multiple: true,
      default: ["key", "model"],
      summary: "what is told apart",
    })(),
    days: Flags.integer({ min: 1, default: 7, helpValue: "DAYS", summary: "how far back" }),
    watch: watchFlag,
    interval: intervalFlag,
  };

  async run(): Promise<UsageSummary | undefined> {
    const { flags } = await this.parse(UsageCommand);
    const [{ readUsage }, { systemClock }] = await Promise.all([
      import("../client/io/read-usage.ts"),
      import("../platform/system-clock.ts"),
    ]);
    const gateway = {
      baseUrl: flags.gateway.replace(/\/+$/, ""),
      apiKey: await this.readToken(flags["api-key-file"]),
      clock: systemClock,
    };
    return this.presentOrWatch(flags, async () => {
      const sinceMs = systemClock.nowMs() - flags.days * DAY_MS;
      return usageView(await readUsage({ ...gateway, sinceMs }), flags.by);
    });
  }
}
