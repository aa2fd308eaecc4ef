import { errorDoc, type CortexError } from "../../core/errors.ts";
import type { Diagnostic } from "../../fleet/text/diagnostics.ts";
import { paint } from "./paint.ts";
import { moreAbout } from "./more-about.ts";
import { printDiagnostics } from "./print-diagnostics.ts";

/** Facts that are worth a line of their own; anything nested stays in `--json`. */
function detailLines(error: CortexError): string[] {
  return Object.entries(error.details).flatMap(([name, value]) => {
    if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") {
      return [`  ${name}: ${value}`];
    }
    if (Array.isArray(value) && value.length > 0 && value.every((item) => typeof item === "string")) {
      return [`  ${name}:`, ...value.map((item) => `    ${item}`)];
    }
    return [];
  });
}

/** Findings in the fleet files, when the error carries them. */
function findingsOf({ code, details }: CortexError): readonly Diagnostic[] {
  const diagnostics = code === "fleet_invalid" ? details["diagnostics"] : undefined;
  return Array.isArray(diagnostics) ? (diagnostics as readonly Diagnostic[]) : [];
}

/** What happened, the facts, what to do next, and where there is more about it. */
export function printError(error: CortexError, options: { readonly colour: boolean }): string {
  const headline = `${paint("Error", "red", options.colour)} ${paint(`[${error.code}]`, "dim", options.colour)} ${error.message}`;
  const findings = findingsOf(error);
  return [
    ...(findings.length === 0 ? [] : [printDiagnostics(findings, { ...options, isPart: true }), ""]),
    headline,
    ...detailLines(error),
    `${paint("Next:", "bold", options.colour)} ${error.next}`,
    // The findings are what is wrong; that there are some says little.
    moreAbout(findings.length === 0 ? [error.code] : findings.map(({ code }) => code), options),
  ].join("\n");
}

/** The same as data, for `--json`. */
export function errorToJson(error: CortexError): Record<string, unknown> {
  return {
    error: {
      code: error.code,
      message: error.message,
      next: error.next,
      doc: errorDoc(error.code),
      ...(error.param === undefined ? {} : { param: error.param }),
      details: error.details,
    },
  };
}
