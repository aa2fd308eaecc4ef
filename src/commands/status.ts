import { existsSync } from "node:fs";
import { join } from "node:path";
import { Flags } from "@oclif/core";
import { BaseCommand, configFlag, neuronTokenFileFlag } from "../cli/base-command.ts";
import { printStatus } from "../cli/print-status.ts";
import { localUrl, parseHostAndPort } from "../core/addresses.ts";
import type { StatusReport } from "../protocol/status-report.ts";

export default class StatusCommand extends BaseCommand {
  static override summary = "neurons, devices, models and health at a glance";
  static override description =
    "Asks every neuron of the fleet files and the gateway. Where there is no fleet file, the demo fleet of `cortex up` is shown.";
  static override examples = [
    "<%= config.bin %> status",
    "<%= config.bin %> status --config fleet/",
    "<%= config.bin %> status --json | jq '.models[] | select(.state == \"missing\")'",
  ];
  static override flags = {
    config: configFlag,
    gateway: Flags.string({
      env: "CORTEX_GATEWAY_URL",
      helpValue: "URL",
      summary: "base URL of the gateway; default: where the fleet files let it listen, on this machine",
    }),
    "neuron-token-file": neuronTokenFileFlag,
  };

  async run(): Promise<StatusReport> {
    const { flags, metadata } = await this.parse(StatusCommand);
    const [{ readStatus }, { loadFleet }, { systemClock }, { readTokenFile }] = await Promise.all([
      import("../controller/observe/io/read-status.ts"),
      import("../repository/io/load-fleet.ts"),
      import("../platform/system-clock.ts"),
      import("../platform/token-file.ts"),
    ]);
    const isDefault = metadata.flags["config"]?.setFromDefault === true;
    const { fleet } = await loadFleet({
      path: isDefault ? this.#defaultFleet(flags.config) : flags.config,
      environmentOverrides: this.environment.cortexVariables,
      inherited: this.environment.inherited,
    });
    const tokenFile = flags["neuron-token-file"];
    const report = await readStatus({
      fleet,
      gatewayUrl: flags.gateway ?? localUrl(parseHostAndPort(fleet.gateway.listen)),
      neuronToken: tokenFile === undefined ? undefined : await readTokenFile(tokenFile),
      clock: systemClock,
    });
    this.show(printStatus(report, { colour: this.environment.colour }));
    return report;
  }

  /** The fleet here, or the one that `cortex up` made: looking changes nothing, so guessing does no harm. */
  #defaultFleet(here: string): string {
    const demo = join(this.environment.dataDirectory, "demo-fleet");
    if (existsSync(join(here, "fleet.toml")) || !existsSync(join(demo, "fleet.toml"))) return here;
    this.remark(`no fleet.toml here; showing the demo fleet in ${demo}`);
    return demo;
  }
}
