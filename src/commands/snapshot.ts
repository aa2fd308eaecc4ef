import { Flags } from "@oclif/core";
import { BaseCommand, configFlag, metricsUrlFlag, neuronTokenFileFlag } from "../cli/base-command.ts";
import type { FleetSnapshot } from "../protocol/fleet-snapshot.ts";

export default class SnapshotCommand extends BaseCommand {
  static override summary = "record what the fleet is and holds, for plans made elsewhere";
  static override description =
    "Asks every neuron and writes down what placement needs: names, hardware, loaded models, memory, requests. Endpoints, tokens, paths and host names are left out, so the file may be given to CI. A neuron that does not answer is recorded as such.";
  static override examples = [
    "<%= config.bin %> snapshot --config fleet/ --out snapshot.json",
    "<%= config.bin %> plan --against snapshot.json",
  ];
  static override flags = {
    config: configFlag,
    ref: Flags.string({ helpValue: "REV", summary: "ask the neurons that this revision declares" }),
    out: Flags.string({ helpValue: "FILE", summary: "write to FILE instead of stdout" }),
    "metrics-url": metricsUrlFlag,
    "neuron-token-file": neuronTokenFileFlag,
  };

  async run(): Promise<FleetSnapshot> {
    const { flags } = await this.parse(SnapshotCommand);
    const [{ takeSnapshot }, { writeJsonFile }] = await Promise.all([
      import("../controller/plan/io/make-plan.ts"),
      import("../controller/observe/io/snapshot-file.ts"),
    ]);
    const snapshot = await this.whileAsking(
      takeSnapshot({
        path: flags.config,
        ref: flags.ref,
        environment: this.environment,
        neuronTokenFile: flags["neuron-token-file"],
        metricsUrl: flags["metrics-url"],
      }),
    );
    if (flags.out === undefined) {
      this.show(JSON.stringify(snapshot, undefined, 2));
      return snapshot;
    }
    await writeJsonFile(flags.out, snapshot);
    const silent = snapshot.neurons.filter(({ reachable }) => !reachable).map(({ name }) => name);
    const missing = silent.length === 0 ? "" : `; ${silent.join(", ")} did not answer`;
    this.remark(
      `Saved ${snapshot.neurons.length} neurons${missing}. Plan on it with: cortex plan --against ${flags.out}`,
    );
    return snapshot;
  }
}
