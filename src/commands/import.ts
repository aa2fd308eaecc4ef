import { basename, resolve } from "node:path";
import * as Args from "@oclif/core/args";
import * as Flags from "@oclif/core/flags";
import { BaseCommand } from "../cli/base-command.ts";
import { neuronTokenFileFlag } from "../cli/flags/fleet-flags.ts";
import { namedEndpoint } from "../cli/flags/import-flags.ts";
import { importRemarks, importView } from "../cli/view/import-view.ts";
import { fleetNameFrom } from "../controller/adopt/init-files.ts";
import { EXIT } from "../core/errors.ts";

export default class ImportCommand extends BaseCommand {
  static override summary = "make fleet files from the live fleet or from what another system has";
  static override description = `Reads running neurons, helexa's files, llama-swap's and LiteLLM's config.yaml, LocalAI's YAML, Ollama's Modelfiles or a
running Ollama, and LM Studio's models folder. Prints the files, or writes them with --out, never over what is there; lists line by line what could not be carried over.
After an import from the live fleet, \`cortex plan\` has nothing to do.`;
  static override examples = [
    "<%= config.bin %> import --from live --neuron beast=http://beast.internal:13131 --out fleet",
    "<%= config.bin %> import /etc/helexa --out fleet",
    "<%= config.bin %> import config.yaml --neuron beast=http://beast.internal:13131   # llama-swap, LiteLLM",
    "<%= config.bin %> import http://127.0.0.1:11434 --out fleet   # a running Ollama",
    "<%= config.bin %> import ~/.lmstudio/models --out fleet",
  ];
  static override args = {
    path: Args.string({
      description: "a directory or a file of the other system, or the address of a running Ollama",
    }),
  };
  static override flags = {
    from: Flags.option({
      options: ["live", "helexa", "llama-swap", "litellm", "ollama", "localai", "lm-studio"] as const,
      summary: "what to import; default: what is given tells",
    })(),
    neuron: Flags.string({
      multiple: true,
      helpValue: "NAME=URL",
      summary: "a neuron of the live fleet (may be repeated), or the machine that the other system ran on",
    }),
    out: Flags.string({ helpValue: "DIR", summary: "write fleet.toml and models.toml there" }),
    name: Flags.string({ helpValue: "NAME", summary: "name of the fleet; default: from --out, else home" }),
    "neuron-token-file": neuronTokenFileFlag,
  };

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(ImportCommand);
    const [{ importFleet, writeImport }, { systemClock }] = await Promise.all([
      import("../controller/adopt/io/import-fleet.ts"),
      import("../platform/system-clock.ts"),
    ]);
    const { out } = flags;
    const wanted = {
      from: flags.from,
      path: args.path,
      neurons: (flags.neuron ?? []).map(namedEndpoint),
      fleetName: flags.name ?? (out === undefined ? "home" : fleetNameFrom(basename(resolve(out)))),
      neuronAccess: await this.neuronAccess(flags["neuron-token-file"]),
    };
    const result = await importFleet(wanted, systemClock);
    const isBroken = result.diagnostics.some(({ severity }) => severity === "error");
    const written = out === undefined ? undefined : { out, paths: await writeImport(out, result.files) };
    const shown = this.present(importView(result, written));
    // The files may go into a pipe; what is said about them does not.
    if (written === undefined) this.remark(importRemarks(result, { colour: this.environment.colour }));
    if (isBroken) process.exitCode = EXIT.failed;
    return shown;
  }
}
