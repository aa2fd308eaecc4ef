import { FleetCommand } from "../../cli/fleet-command.ts";
import { configFlag } from "../../cli/flags/fleet-flags.ts";

export default class ResumeCommand extends FleetCommand {
  static override summary = "let the loops of the fleet change it again, after `cortex reconcile suspend`";
  static override examples = ["<%= config.bin %> reconcile resume --config fleet/"];
  static override flags = { config: configFlag };

  async run(): Promise<{ readonly resumed: boolean }> {
    const { flags } = await this.parse(ResumeCommand);
    const { resumeLoops } = await import("../../controller/reconcile/io/suspension-ref.ts");
    const { fleet } = await this.loadFleet({ path: flags.config });
    const { name } = fleet.fleet;
    const location = { path: flags.config, repo: fleet.gitops.repo, fleet: name };
    const resumed = await resumeLoops(location, this.environment);
    this.show(
      resumed
        ? `The loops of ${name} change it again, from their next look on.`
        : `Nobody had suspended the loops of ${name}.`,
    );
    return { resumed };
  }
}
