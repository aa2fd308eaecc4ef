import { FleetCommand } from "../../cli/fleet-command.ts";
import { configFlag, neuronTokenFileFlag } from "../../cli/flags/fleet-flags.ts";
import { locksView } from "../../cli/view/locks-view.ts";
import type { ListedLock } from "../../controller/lock/io/open-lock.ts";

export default class LockLsCommand extends FleetCommand {
  static override summary =
    "who may change a fleet now: the locks in the fleet repository's remote, or on its neurons";
  static override description =
    "An apply holds the lock refs/cortex/lock/<fleet> and renews it while it works. Where there is no remote that can be written, it is a lease on most of the neurons. One whose holder is gone is broken by the next apply, about a minute after it was last renewed.";
  static override examples = [
    "<%= config.bin %> lock ls --config fleet/",
    "<%= config.bin %> lock ls --json | jq -r '.locks[].record.id'",
  ];
  static override flags = { config: configFlag, "neuron-token-file": neuronTokenFileFlag };

  async run(): Promise<{ readonly place: string; readonly locks: readonly ListedLock[] }> {
    const { flags } = await this.parse(LockLsCommand);
    const [{ listLocks }, { leaseOf }, { systemClock: clock }] = await Promise.all([
      import("../../controller/lock/io/open-lock.ts"),
      import("../../controller/lock/io/neuron-lease.ts"),
      import("../../platform/system-clock.ts"),
    ]);
    const location = await this.lockLocation(flags.config);
    const access = await this.neuronAccess(flags["neuron-token-file"]);
    const lease = leaseOf(location.declared, { clock, access });
    return this.present(locksView(await listLocks(location, this.environment, lease), clock.nowMs()));
  }
}
