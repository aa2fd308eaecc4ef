import { Args } from "@oclif/core";
import { BaseCommand } from "../cli/base-command.ts";
import { printDiagnostics } from "../cli/print-diagnostics.ts";

export default class ValidateCommand extends BaseCommand {
  static override summary = "check fleet files: every finding at once, with its place and how to mend it";
  static override examples = [
    "<%= config.bin %> validate fleet/",
    "<%= config.bin %> validate fleet/ --json",
  ];
  static override args = {
    path: Args.string({ default: ".", description: "fleet repository: a directory or one TOML file" }),
  };

  async run(): Promise<unknown> {
    const { args } = await this.parse(ValidateCommand);
    const { loadFleet } = await import("../controller/io/load-fleet.ts");
    const { fleet, warnings, digest } = await loadFleet({
      path: args.path,
      environmentOverrides: this.environment.cortexVariables,
      inherited: this.environment.inherited,
    });
    if (warnings.length > 0) this.show(printDiagnostics(warnings, { colour: this.environment.colour }));
    const counted = `${fleet.neurons.length} neurons, ${fleet.models.length} models`;
    this.show(`Valid: fleet ${fleet.fleet.name}, ${counted}.`);
    return { valid: true, fleet: fleet.fleet.name, digest, diagnostics: warnings };
  }
}
