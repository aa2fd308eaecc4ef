import { join } from "node:path";
import * as Flags from "@oclif/core/flags";
import { FleetCommand } from "../cli/fleet-command.ts";
import { apiKeyFileFlag, configFlag, gatewayUrlFlag, neuronTokenFileFlag } from "../cli/flags/fleet-flags.ts";
import { doctorView } from "../cli/view/doctor-view.ts";
import { EXIT } from "../core/errors.ts";
import type { DoctorReport } from "../protocol/findings/doctor-report.ts";

export default class DoctorCommand extends FleetCommand {
  static override summary = "look at this machine and at what it reaches of the fleet, and say what to mend";
  static override description =
    "Looks at driver, devices and their permissions, disk, ports, token files and versions here, and, where fleet files are at hand, asks each neuron and the gateway: whether they answer, take the token, run the same version and have the same time. It changes nothing. Exit code 1 with a problem, 0 with warnings alone; on any machine: of a neuron, of a gateway, in CI.";
  static override examples = [
    "<%= config.bin %> doctor",
    "<%= config.bin %> doctor --config fleet/ --neuron-token-file neuron.token",
    "<%= config.bin %> doctor --model-root /srv/models --json",
  ];
  static override flags = {
    config: configFlag,
    "gateway-url": gatewayUrlFlag,
    "neuron-token-file": neuronTokenFileFlag,
    "api-key-file": apiKeyFileFlag,
    "model-root": Flags.string({
      env: "CORTEX_MODEL_ROOT",
      multiple: true,
      multipleNonGreedy: true,
      helpValue: "DIR",
      summary: "directory of model files; repeatable; default: the user's store",
    }),
  };

  async run(): Promise<DoctorReport> {
    const { flags, metadata } = await this.parse(DoctorCommand);
    const [{ examine }, { holdsFleet }, { systemClock }, { createLogger }] = await Promise.all([
      import("../doctor/io/examine.ts"),
      import("../doctor/io/holds-fleet.ts"),
      import("../platform/system-clock.ts"),
      import("../platform/logger.ts"),
    ]);
    const { environment } = this;
    const tokenFiles = [flags["neuron-token-file"], flags["api-key-file"]].filter(
      (path) => path !== undefined,
    );
    // A machine that only runs a neuron has no fleet files, and that is no fault of it.
    const wasNamed = metadata.flags["config"]?.setFromDefault !== true;
    const hasFleet = wasNamed || (await holdsFleet(flags.config));
    const report = await this.whileAsking(
      examine(
        {
          loadFleet: hasFleet ? async () => (await this.loadFleet({ path: flags.config })).fleet : null,
          gatewayUrl: flags["gateway-url"],
          neuronToken: () => this.readToken(flags["neuron-token-file"]),
          apiKey: () => this.readToken(flags["api-key-file"]),
          tokenFiles,
          dataDirectory: environment.dataDirectory,
          modelRoots: flags["model-root"] ?? [join(environment.dataDirectory, "models")],
          user: environment.operator.user,
          environment: environment.inherited,
        },
        { clock: systemClock, logger: createLogger({ name: "doctor", level: "silent" }) },
      ),
    );
    if (!report.healthy) process.exitCode = EXIT.failed;
    return this.present(doctorView(report));
  }
}
