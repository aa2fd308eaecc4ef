import { relative, resolve } from "node:path";
import { Args, Flags } from "@oclif/core";
import { BaseCommand, configFlag } from "../cli/base-command.ts";
import { diagnosticsToGithub } from "../cli/diagnostics-github.ts";
import { diagnosticsToSarif } from "../cli/diagnostics-sarif.ts";
import { printDiagnostics } from "../cli/print-diagnostics.ts";
import { CortexError, EXIT } from "../core/errors.ts";
import type { Diagnostic } from "../fleet/text/diagnostics.ts";
import { packageVersion } from "../platform/package-paths.ts";

const FORMATS = ["text", "json", "sarif", "github"] as const;

export default class ValidateCommand extends BaseCommand {
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
      options: FORMATS,
      default: "text",
      summary: "text; json (as --json); sarif (2.1.0); github (annotations on the lines of a pull request)",
    })(),
    ref: Flags.string({
      helpValue: "REV",
      summary: "check this revision of the fleet repository instead of the work tree",
    }),
  };

  #format: (typeof FORMATS)[number] = "text";

  override jsonEnabled(): boolean {
    return super.jsonEnabled() || this.#format === "json";
  }

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(ValidateCommand);
    this.#format = this.jsonEnabled() ? "json" : flags.format;
    const { loadFleet } = await import("../repository/io/load-fleet.ts");
    try {
      const { fleet, warnings, digest, revision } = await loadFleet({
        path: args.path ?? flags.config,
        ref: flags.ref,
        environmentOverrides: this.environment.cortexVariables,
        inherited: this.environment.inherited,
      });
      this.#showFindings(warnings);
      if (this.#format === "text") {
        const counted = `${count(fleet.neurons.length, "neuron")}, ${count(fleet.models.length, "model")}`;
        const state = revision.dirty ? `, ${uncommitted(revision.commit)}` : "";
        this.show(`Valid: fleet ${fleet.fleet.name}, ${counted}${state}.`);
      }
      return { valid: true, fleet: fleet.fleet.name, digest, revision, diagnostics: warnings };
    } catch (thrown) {
      const findings = findingsOf(thrown);
      if (findings === undefined || this.#format === "text" || this.#format === "json") throw thrown;
      this.#showFindings(findings);
      process.exitCode = EXIT.failed;
      return undefined;
    }
  }

  #showFindings(findings: readonly Diagnostic[]): void {
    switch (this.#format) {
      case "json":
        return;
      case "sarif":
        this.show(
          JSON.stringify(
            diagnosticsToSarif(findings, { version: packageVersion(), repositoryPath }),
            undefined,
            2,
          ),
        );
        return;
      case "github":
        if (findings.length > 0) this.show(diagnosticsToGithub(findings, repositoryPath));
        return;
      case "text":
        if (findings.length > 0)
          this.show(`${printDiagnostics(findings, { colour: this.environment.colour })}\n`);
    }
  }
}

/** The path as the repository has it, when the command runs at its top; elsewhere the path as it was given. */
function repositoryPath(file: string): string {
  const path = relative("", resolve(file)).replaceAll("\\", "/");
  return path === "" || path.startsWith("../") ? file : path;
}

const uncommitted = (commit: string | null): string =>
  commit === null ? "nothing committed yet" : `with changes that are not in ${commit.slice(0, 8)}`;

const count = (amount: number, noun: string): string => `${amount} ${noun}${amount === 1 ? "" : "s"}`;

function findingsOf(thrown: unknown): readonly Diagnostic[] | undefined {
  if (!(thrown instanceof CortexError) || thrown.code !== "fleet_invalid") return undefined;
  const { diagnostics } = thrown.details;
  return Array.isArray(diagnostics) ? (diagnostics as readonly Diagnostic[]) : undefined;
}
