import * as Args from "@oclif/core/args";
import * as Flags from "@oclif/core/flags";
import { FleetCommand } from "../cli/fleet-command.ts";
import { configFlag, refFlag } from "../cli/flags/fleet-flags.ts";
import { FINDING_FORMATS, refusedView, validView, type FindingFormat } from "../cli/view/validation-view.ts";
import { EXIT } from "../core/errors.ts";

export default class ValidateCommand extends FleetCommand {
  static override summary = "check fleet files: every finding at once, with its place and how to mend it";
  static override description =
    "Reads the files, asks no machine. Exits 1 when there is an error; warnings are shown and pass.";
  static override examples = [
    "<%= config.bin %> validate fleet/",
    "<%= config.bin %> validate fleet/ --json",
    "<%= config.bin %> validate --ref origin/main",
    "<%= config.bin %> validate git+https://git.example/fleet.git#main:fleet",
    "<%= config.bin %> validate --format github   # annotations on the lines of a pull request",
    "<%= config.bin %> validate --format sarif > cortex.sarif",
  ];
  static override args = {
    path: Args.string({ description: "the same as --config, for short" }),
  };
  static override flags = {
    config: configFlag,
    format: Flags.option({
      options: FINDING_FORMATS,
      default: "text",
      summary: "text; json (as --json); sarif (2.1.0); github (annotations on the lines of a pull request)",
    })(),
    ref: refFlag("check this revision of the fleet repository instead of the work tree"),
  };

  #format: FindingFormat = "text";

  override jsonEnabled(): boolean {
    return super.jsonEnabled() || this.#format === "json";
  }

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(ValidateCommand);
    this.#format = this.jsonEnabled() ? "json" : flags.format;
    try {
      const loaded = await this.loadFleet({ path: args.path ?? flags.config, ref: flags.ref });
      return this.present(validView(loaded, this.#format));
    } catch (thrown) {
      const refused = refusedView(thrown, this.#format);
      if (refused === undefined) throw thrown;
      process.exitCode = EXIT.failed;
      return this.present(refused);
    }
  }
}
