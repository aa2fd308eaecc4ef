import { basename, resolve } from "node:path";
import { Args, Flags } from "@oclif/core";
import { BaseCommand, neuronTokenFileFlag } from "../cli/base-command.ts";
import { printDiagnostics } from "../cli/print-diagnostics.ts";
import { printImportNotes } from "../cli/print-import-notes.ts";
import { fleetNameFrom } from "../controller/adopt/init-files.ts";
import type { ImportResult, NamedEndpoint } from "../controller/adopt/io/import-fleet.ts";
import { CortexError, EXIT } from "../core/errors.ts";
import { neuronBlockSchema } from "../fleet/schema/fleet-schema.ts";

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
    const [{ importFleet, writeImport }, { systemClock }, { readTokenFile }] = await Promise.all([
      import("../controller/adopt/io/import-fleet.ts"),
      import("../platform/system-clock.ts"),
      import("../platform/token-file.ts"),
    ]);
    const tokenFile = flags["neuron-token-file"];
    const result = await importFleet(
      {
        from: flags.from,
        path: args.path,
        neurons: (flags.neuron ?? []).map(namedEndpoint),
        fleetName:
          flags.name ?? (flags.out === undefined ? "home" : fleetNameFrom(basename(resolve(flags.out)))),
        neuronToken: tokenFile === undefined ? undefined : await readTokenFile(tokenFile),
      },
      systemClock,
    );
    if (flags.out === undefined) {
      this.show(result.files.map(({ path, text }) => `# ---- ${path}\n${text}`).join("\n"));
      this.#report(result, (text) => this.remark(text));
    } else {
      const written = await writeImport(flags.out, result.files);
      this.show(`Made ${written.join(" and ")}.`);
      this.#report(result, (text) => this.show(text));
      this.show(
        `Next: cortex validate ${flags.out}, cortex plan --config ${flags.out}; cortex init ${flags.out} adds CI and a README`,
      );
    }
    return { ...result, out: flags.out ?? null };
  }

  #report(result: ImportResult, say: (text: string) => void): void {
    const { colour } = this.environment;
    if (result.diagnostics.length > 0) say(`\n${printDiagnostics(result.diagnostics, { colour })}\n`);
    if (result.diagnostics.some(({ severity }) => severity === "error")) process.exitCode = EXIT.failed;
    say(printImportNotes(result.not_carried, { models: result.models, neurons: result.neurons }));
  }
}

function namedEndpoint(text: string): NamedEndpoint {
  const at = text.indexOf("=");
  const checked = neuronBlockSchema.safeParse({
    name: text.slice(0, Math.max(0, at)),
    endpoint: text.slice(at + 1),
  });
  if (at > 0 && checked.success) return { name: checked.data.name, endpoint: checked.data.endpoint };
  throw new CortexError("usage_error", `--neuron ${text} is not NAME=URL`, {
    next: "cortex import --neuron beast=http://beast.internal:13131",
  });
}
