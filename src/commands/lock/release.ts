import * as Args from "@oclif/core/args";
import { FleetCommand } from "../../cli/fleet-command.ts";
import { configFlag, neuronTokenFileFlag } from "../../cli/flags/fleet-flags.ts";
import type { LockRecord } from "../../protocol/refs/lock-record.ts";

export default class LockReleaseCommand extends FleetCommand {
  static override summary = "take a lock away from a holder that is gone for good";
  static override description =
    "Rarely needed: a lock ends by itself about a minute after its holder is gone. A holder that is alive begins nothing new from then on, and the neurons refuse what it still sends. The history says who did this.";
  static override examples = ["<%= config.bin %> lock release 3fa1c09b --config fleet/"];
  static override args = { id: Args.string({ required: true, description: "as `cortex lock ls` shows it" }) };
  static override flags = { config: configFlag, "neuron-token-file": neuronTokenFileFlag };

  async run(): Promise<LockRecord> {
    const { args, flags } = await this.parse(LockReleaseCommand);
    const [{ releaseLock }, { leaseOf }, { systemClock: clock }] = await Promise.all([
      import("../../controller/lock/io/open-lock.ts"),
      import("../../controller/lock/io/neuron-lease.ts"),
      import("../../platform/system-clock.ts"),
    ]);
    const location = { ...(await this.lockLocation(flags.config)), id: args.id };
    const { environment } = this;
    const access = await this.neuronAccess(flags["neuron-token-file"]);
    const lease = leaseOf(location.declared, { clock, access });
    const record = await releaseLock(location, { environment, operator: environment.operator, lease });
    const { user, host } = record.holder;
    this.show(`Released the lock ${record.id} that ${user}@${host} held for ${record.operation}.`);
    return record;
  }
}
