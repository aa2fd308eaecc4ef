import { FleetCommand } from "../../cli/fleet-command.ts";
import { configFlag } from "../../cli/flags/fleet-flags.ts";
import { locksView } from "../../cli/view/locks-view.ts";
import type { ListedLock } from "../../controller/lock/io/open-lock.ts";

export default class LockLsCommand extends FleetCommand {
  static override summary = "who may change a fleet now: the locks in the fleet repository's remote";
  static override description =
    "An apply holds the lock refs/cortex/lock/<fleet> and renews it while it works. One whose holder is gone is broken by the next apply, about a minute after it was last renewed.";
  static override examples = [
    "<%= config.bin %> lock ls --config fleet/",
    "<%= config.bin %> lock ls --json | jq -r '.locks[].record.id'",
  ];
  static override flags = { config: configFlag };

  async run(): Promise<{ readonly place: string; readonly locks: readonly ListedLock[] }> {
    const { flags } = await this.parse(LockLsCommand);
    const { listLocks } = await import("../../controller/lock/io/open-lock.ts");
    const { systemClock } = await import("../../platform/system-clock.ts");
    const location = await this.lockLocation(flags.config);
    return this.present(locksView(await listLocks(location, this.environment), systemClock.nowMs()));
  }
}
