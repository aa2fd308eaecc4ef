import { relative, resolve } from "node:path";
import { CortexError } from "../../core/errors.ts";
import type { Diagnostic } from "../../fleet/text/diagnostics.ts";
import { packageVersion } from "../../platform/package-paths.ts";
import type { LoadedFleet } from "../../repository/io/load-fleet.ts";
import { diagnosticsToGithub } from "../print/diagnostics-github.ts";
import { diagnosticsToSarif } from "../print/diagnostics-sarif.ts";
import { printDiagnostics } from "../print/print-diagnostics.ts";
import type { Look, View } from "./view.ts";

export const FINDING_FORMATS = ["text", "json", "sarif", "github"] as const;
export type FindingFormat = (typeof FINDING_FORMATS)[number];

/** A fleet that may be used, with its warnings. */
export function validView(loaded: LoadedFleet, format: FindingFormat): View<unknown> {
  const { fleet, digest, revision, warnings } = loaded;
  return {
    json: { valid: true, fleet: fleet.fleet.name, digest, revision, diagnostics: warnings },
    ...(format === "text" ? { wraps: true } : {}),
    human: (look) => {
      if (format !== "text") return reportText(warnings, format);
      const shown = warnings.length === 0 ? "" : `${printDiagnostics(warnings, look)}\n\n`;
      return `${shown}${verdict(loaded)}`;
    },
  };
}

/** Findings for the readers of a report; undefined: an error like any other. */
export function refusedView(thrown: unknown, format: FindingFormat): View<undefined> | undefined {
  if (format === "text" || format === "json") return undefined;
  if (!(thrown instanceof CortexError) || thrown.code !== "fleet_invalid") return undefined;
  const { diagnostics } = thrown.details;
  if (!Array.isArray(diagnostics)) return undefined;
  const findings = diagnostics as readonly Diagnostic[];
  return { json: undefined, human: (_look: Look) => reportText(findings, format) };
}

function reportText(findings: readonly Diagnostic[], format: Exclude<FindingFormat, "text">): string {
  if (format === "github") return diagnosticsToGithub(findings, repositoryPath);
  if (format === "json") return "";
  const report = diagnosticsToSarif(findings, { version: packageVersion(), repositoryPath });
  return JSON.stringify(report, undefined, 2);
}

function verdict({ fleet, revision }: LoadedFleet): string {
  const counted = `${count(fleet.neurons.length, "neuron")}, ${count(fleet.models.length, "model")}`;
  const state = revision.dirty ? `, ${uncommitted(revision.commit)}` : "";
  return `Valid: fleet ${fleet.fleet.name}, ${counted}${state}.`;
}

/** The path as the repository has it, when the command runs at its top; elsewhere the path as it was given. */
function repositoryPath(file: string): string {
  const path = relative("", resolve(file)).replaceAll("\\", "/");
  return path === "" || path.startsWith("../") ? file : path;
}

const uncommitted = (commit: string | null): string =>
  commit === null ? "nothing committed yet" : `with changes that are not in ${commit.slice(0, 8)}`;

const count = (amount: number, noun: string): string => `${amount} ${noun}${amount === 1 ? "" : "s"}`;
