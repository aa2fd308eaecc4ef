import * as Flags from "@oclif/core/flags";
import { FleetCommand } from "../cli/fleet-command.ts";
import { configFlag, metricsUrlFlag, neuronTokenFileFlag, refFlag } from "../cli/flags/fleet-flags.ts";
import { savedSnapshotText, snapshotView } from "../cli/view/snapshot-view.ts";
import type { FleetSnapshot } from "../protocol/fleet-snapshot.ts";

export default class SnapshotCommand extends FleetCommand {
  static override summary = "record what the fleet is and holds, for plans made elsewhere";
  static override description =
    "Asks every neuron and writes down what placement needs: names, hardware, loaded models, memory, requests. Endpoints, tokens, paths and host names are left out, so the file may be given to CI. A neuron that does not answer is recorded as such.";
  static override examples = [
    "<%= config.bin %> snapshot --config fleet/ --out snapshot.json",
    "<%= config.bin %> plan --against snapshot.json",
  ];
  static override flags = {
    config: configFlag,
    ref: refFlag("ask the neurons that this revision declares"),
    out: Flags.string({ helpValue: "FILE", summary: "write to FILE instead of stdout" }),
    "metrics-url": metricsUrlFlag,
    "neuron-token-file": neuronTokenFileFlag,
  };

  async run(): Promise<FleetSnapshot> {
    const { flags } = await this.parse(SnapshotCommand);
    const [{ takeSnapshot }, { planDeps }, { systemClock }, { writeJsonFile }] = await Promise.all([
      import("../controller/plan/io/make-plan.ts"),
      import("../controller/plan/io/plan-deps.ts"),
      import("../platform/system-clock.ts"),
      import("../controller/observe/io/snapshot-file.ts"),
    ]);
    const view = {
      path: flags.config,
      ref: flags.ref,
      neuronAccess: () => this.neuronAccess(flags["neuron-token-file"]),
      metricsUrl: flags["metrics-url"],
    };
    const snapshot = await this.whileAsking(takeSnapshot(view, planDeps(systemClock, this.environment)));
    if (flags.out !== undefined) {
      await writeJsonFile(flags.out, snapshot);
      this.remark(savedSnapshotText(snapshot, flags.out));
    }
    return this.present(snapshotView(snapshot, flags.out));
  }
}
