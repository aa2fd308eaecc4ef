import { existsSync } from "node:fs";
import { join } from "node:path";
import { FleetCommand } from "../cli/fleet-command.ts";
import { apiKeyFileFlag, configFlag, gatewayUrlFlag, neuronTokenFileFlag } from "../cli/flags/fleet-flags.ts";
import { statusView } from "../cli/view/status-view.ts";
import { localUrl, parseHostAndPort } from "../core/addresses.ts";
import type { StatusReport } from "../protocol/status-report.ts";

export default class StatusCommand extends FleetCommand {
  static override summary = "neurons, devices, models and health at a glance";
  static override description =
    "Asks every neuron of the fleet files, and the gateway for loads, for who waits, and for what could not be loaded and why. Where there is no fleet file, the demo fleet of `cortex up` is shown.";
  static override examples = [
    "<%= config.bin %> status",
    "<%= config.bin %> status --config fleet/",
    "<%= config.bin %> status --json | jq '.models[] | select(.state == \"missing\")'",
  ];
  static override flags = {
    config: configFlag,
    gateway: gatewayUrlFlag,
    "api-key-file": apiKeyFileFlag,
    "neuron-token-file": neuronTokenFileFlag,
  };

  async run(): Promise<StatusReport> {
    const { flags, metadata } = await this.parse(StatusCommand);
    const [{ readStatus }, { systemClock }] = await Promise.all([
      import("../controller/observe/io/read-status.ts"),
      import("../platform/system-clock.ts"),
    ]);
    const isDefault = metadata.flags["config"]?.setFromDefault === true;
    const path = isDefault ? this.#defaultFleet(flags.config) : flags.config;
    const { fleet, revision } = await this.loadFleet({ path });
    const report = await readStatus({
      fleet,
      repository: revision.repository,
      gatewayUrl: flags.gateway ?? localUrl(parseHostAndPort(fleet.gateway.listen)),
      apiKey: await this.readToken(flags["api-key-file"]),
      neuronToken: await this.readToken(flags["neuron-token-file"]),
      clock: systemClock,
    });
    return this.present(statusView(report));
  }

  /** The fleet here, or the one that `cortex up` made: looking changes nothing, so guessing does no harm. */
  #defaultFleet(here: string): string {
    const demo = join(this.environment.dataDirectory, "demo-fleet");
    if (existsSync(join(here, "fleet.toml")) || !existsSync(join(demo, "fleet.toml"))) return here;
    this.remark(`no fleet.toml here; showing the demo fleet in ${demo}`);
    return demo;
  }
}
