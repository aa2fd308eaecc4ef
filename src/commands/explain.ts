import * as Args from "@oclif/core/args";
import * as Flags from "@oclif/core/flags";
import { BaseCommand } from "../cli/base-command.ts";
import { apiKeyFileFlag, endpointFlag, intervalFlag, watchFlag } from "../cli/flags/fleet-flags.ts";
import { explanationView, requestListView } from "../cli/tables/requests-table.ts";
import type { RequestExplanation, RequestList } from "../protocol/request-explanation.ts";

export default class ExplainCommand extends BaseCommand {
  static override summary = "where a request went and why, and what it waited for";
  static override description =
    "Asks the gateway, which remembers its last 1000 requests, without what was asked or answered. A request's id is in the answer's x-request-id header and in the log; without one the latest requests are listed. Where the fleet declares keys, the key must have the admin role.";
  static override examples = [
    "<%= config.bin %> explain",
    "<%= config.bin %> explain 0f9c8a52-4c1e-4f0e-9a54-6a4c3f0b7d11 --api-key-file ops.key",
    "<%= config.bin %> explain --watch",
    "<%= config.bin %> explain --json | jq '.requests[] | select(.status >= 500) | .request_id'",
  ];
  static override args = {
    request: Args.string({ name: "REQUEST", description: "id of a request; default: list the latest" }),
  };
  static override flags = {
    gateway: endpointFlag,
    "api-key-file": apiKeyFileFlag,
    limit: Flags.integer({
      min: 1,
      max: 500,
      default: 20,
      helpValue: "COUNT",
      summary: "how many are listed",
    }),
    watch: watchFlag,
    interval: intervalFlag,
  };

  async run(): Promise<RequestExplanation | RequestList | undefined> {
    const { args, flags } = await this.parse(ExplainCommand);
    const [{ readRequest, readRequests }, { systemClock }] = await Promise.all([
      import("../client/io/read-requests.ts"),
      import("../platform/system-clock.ts"),
    ]);
    const gateway = {
      baseUrl: flags.gateway.replace(/\/+$/, ""),
      apiKey: await this.readToken(flags["api-key-file"]),
      clock: systemClock,
    };
    const { request } = args;
    if (request !== undefined)
      return this.presentOrWatch(flags, async () => explanationView(await readRequest(gateway, request)));
    return this.presentOrWatch(flags, async () => requestListView(await readRequests(gateway, flags.limit)));
  }
}
