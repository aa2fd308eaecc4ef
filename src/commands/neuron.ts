import { Flags } from "@oclif/core";
import { BaseCommand, logLevelFlag } from "../cli/base-command.ts";
import { NEURON_DEFAULT_PORT } from "../protocol/neuron-api.ts";

export default class NeuronCommand extends BaseCommand {
  static override summary = "run on each machine: holds models in worker processes and answers for them";
  static override flags = {
    host: Flags.string(),
    port: Flags.integer({ default: NEURON_DEFAULT_PORT }),
    "log-level": logLevelFlag(),
  };
  async run(): Promise<void> {
    await this.parse(NeuronCommand);
  }
}
