import * as Args from "@oclif/core/args";
import * as Flags from "@oclif/core/flags";
import { BaseCommand } from "../cli/base-command.ts";
import { checkedName, checkedPackage, chosenHosts } from "../cli/flags/init-flags.ts";
import { initView } from "../cli/view/init-view.ts";
import { CI_HOSTS } from "../controller/adopt/init-files.ts";
import type { InitResult } from "../controller/adopt/io/init-repository.ts";

export default class InitCommand extends BaseCommand {
  static override summary = "make a fleet repository that works: files, editor support, CI, README";
  static override description =
    "Writes what is missing and never over what is there, so it can also add CI for another host later.";
  static override examples = [
    "<%= config.bin %> init fleet",
    "<%= config.bin %> init --ci gitlab          # add a pipeline to the repository here",
    "<%= config.bin %> init fleet --name home --ci none",
    "<%= config.bin %> init fleet --package https://git.example/ops/cortex/releases/cortex-0.1.0.tgz",
  ];
  static override args = {
    directory: Args.string({ default: ".", description: "directory of the repository" }),
  };
  static override flags = {
    name: Flags.string({ helpValue: "NAME", summary: "name of the fleet; default: from the directory" }),
    ci: Flags.option({
      options: [...CI_HOSTS, "none"] as const,
      multiple: true,
      summary: "where CI runs (may be repeated); default: what the remote origin says, else github",
    })(),
    package: Flags.string({
      env: "CORTEX_PACKAGE",
      helpValue: "SPEC",
      summary: "what npm installs in CI jobs: URL or path of the cortex package; default: to be filled in",
    }),
    git: Flags.boolean({
      default: true,
      allowNo: true,
      summary: "run `git init` where there is no repository yet",
    }),
  };

  async run(): Promise<InitResult> {
    const { args, flags } = await this.parse(InitCommand);
    const { initRepository } = await import("../controller/adopt/io/init-repository.ts");
    const result = await initRepository(
      {
        directory: args.directory,
        fleetName: checkedName(flags.name),
        hosts: chosenHosts(flags.ci),
        packageSpec: checkedPackage(flags.package),
        git: flags.git,
      },
      { inherited: this.environment.inherited },
    );
    return this.present(initView(result, CI_HOSTS));
  }
}
