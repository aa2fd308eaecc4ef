import { existsSync } from "node:fs";
import { join } from "node:path";
import { FleetCommand } from "../cli/fleet-command.ts";
import {
  apiKeyFileFlag,
  configFlag,
  gatewayUrlFlag,
  intervalFlag,
  neuronTokenFileFlag,
  watchFlag,
} from "../cli/flags/fleet-flags.ts";
import { statusView } from "../cli/view/status-view.ts";
import { localUrl, parseHostAndPort } from "../core/addresses.ts";
import type { StatusReport } from "../protocol/status-report.ts";

export default class StatusCommand extends FleetCommand {
  static override summary = "neurons, devices, models and health at a glance";
  static override description =
    "Asks every neuron of the fleet files, the gateway for loads, for who waits, and for what could not be loaded and why, and the fleet repository's remote whether its loops are suspended. Where there is no fleet file, the demo fleet of `cortex up` is shown. With --watch it is read again when the gateway tells of a change, and every --interval anyway.";
  static override examples = [
    "<%= config.bin %> status",
    "<%= config.bin %> status --config fleet/",
    "<%= config.bin %> status --watch",
    "<%= config.bin %> status --json | jq '.models[] | select(.state == \"missing\")'",
  ];
  static override flags = {
    config: configFlag,
    gateway: gatewayUrlFlag,
    "api-key-file": apiKeyFileFlag,
    "neuron-token-file": neuronTokenFileFlag,
    watch: watchFlag,
    interval: intervalFlag,
  };

  async run(): Promise<StatusReport | undefined> {
    const { flags, metadata } = await this.parse(StatusCommand);
    const [{ readStatus }, { createHoldReader }, { followFleetNews }, { systemClock: clock }] =
      await Promise.all([
        import("../controller/observe/io/read-status.ts"),
        import("../controller/reconcile/io/read-hold.ts"),
        import("../client/io/fleet-news.ts"),
        import("../platform/system-clock.ts"),
      ]);
    const isDefault = metadata.flags["config"]?.setFromDefault === true;
    const path = isDefault ? this.#defaultFleet(flags.config) : flags.config;
    const { fleet, revision } = await this.loadFleet({ path });
    const baseUrl = flags.gateway ?? localUrl(parseHostAndPort(fleet.gateway.listen));
    const apiKey = await this.readToken(flags["api-key-file"]);
    const neuronAccess = await this.neuronAccess(flags["neuron-token-file"]);
    const { repository } = revision;
    const loops = createHoldReader({ path, fleet }, { environment: this.environment, clock });
    const asked = { fleet, repository, gatewayUrl: baseUrl, apiKey, neuronAccess, clock, loops };
    return this.presentOrWatch(
      flags,
      async () => statusView(await readStatus(asked)),
      (onNews, signal) => void followFleetNews({ baseUrl, apiKey, clock, onNews, signal }),
    );
  }

  /** The fleet here, or the one that `cortex up` made: looking changes nothing, so guessing does no harm. */
  #defaultFleet(here: string): string {
    const demo = join(this.environment.dataDirectory, "demo-fleet");
    if (existsSync(join(here, "fleet.toml")) || !existsSync(join(demo, "fleet.toml"))) return here;
    this.remark(`no fleet.toml here; showing the demo fleet in ${demo}`);
    return demo;
  }
}
