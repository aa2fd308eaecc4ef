import * as Flags from "@oclif/core/flags";
import { FleetCommand } from "../../cli/fleet-command.ts";
import { configFlag, durationFlag } from "../../cli/flags/fleet-flags.ts";
import type { Suspension } from "../../protocol/refs/suspension-record.ts";

export default class SuspendCommand extends FleetCommand {
  static override summary = "ask the loops of the fleet to change nothing, for a time and with a reason";
  static override description =
    "Written into refs/cortex/suspended/<fleet> of the fleet repository's remote, which every loop reads before it changes something. A round that is under way ends first. `cortex apply` by hand is not held back.";
  static override examples = [
    '<%= config.bin %> reconcile suspend --reason "new cards for beast" --for 2h',
    '<%= config.bin %> reconcile suspend --reason "incident 4711"     # until `cortex reconcile resume`',
  ];
  static override flags = {
    config: configFlag,
    reason: Flags.string({ required: true, helpValue: "TEXT", summary: "why, for whoever wonders" }),
    for: durationFlag("for", "how long, as 30m or 2h; default: until `cortex reconcile resume`"),
  };

  async run(): Promise<Suspension> {
    const { flags } = await this.parse(SuspendCommand);
    const [{ suspendLoops }, { systemClock: clock }] = await Promise.all([
      import("../../controller/reconcile/io/suspension-ref.ts"),
      import("../../platform/system-clock.ts"),
    ]);
    const { fleet } = await this.loadFleet({ path: flags.config });
    const location = { path: flags.config, repo: fleet.gitops.repo, fleet: fleet.fleet.name };
    const { operator } = this.environment;
    const options = { reason: flags.reason, forMs: flags.for, operator, clock };
    const suspension = await suspendLoops(location, this.environment, options);
    const end = suspension.until === null ? "until `cortex reconcile resume`" : `until ${suspension.until}`;
    this.show(`The loops of ${fleet.fleet.name} change nothing ${end}; they go on looking.`);
    return suspension;
  }
}
