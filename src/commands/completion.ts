import * as Args from "@oclif/core/args";
import { BaseCommand } from "../cli/base-command.ts";
import { completionScript, SHELLS } from "../cli/shell/completion-script.ts";
import { knownCommands } from "../cli/shell/known-commands.ts";

export default class CompletionCommand extends BaseCommand {
  static override summary = "print a completion script for bash, zsh or fish";
  static override description =
    "Completes commands, flags and the values that a flag may have. The script holds the commands of this version: make it again after an upgrade.";
  static override examples = [
    "<%= config.bin %> completion bash > ~/.local/share/bash-completion/completions/cortex",
    "<%= config.bin %> completion zsh > ~/.zfunc/_cortex",
    "<%= config.bin %> completion fish > ~/.config/fish/completions/cortex.fish",
  ];
  static override args = {
    shell: Args.string({ required: true, options: [...SHELLS], description: "the shell" }),
  };

  async run(): Promise<{ readonly shell: string; readonly script: string }> {
    const { args } = await this.parse(CompletionCommand);
    const shell = SHELLS.find((known) => known === args.shell) ?? "bash";
    const script = completionScript(shell, knownCommands(this.config.commands));
    return this.present({ json: { shell, script }, human: () => script.trimEnd() });
  }
}
