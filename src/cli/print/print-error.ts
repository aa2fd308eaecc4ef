import type { CortexError } from "../../core/errors.ts";
import type { Diagnostic } from "../../fleet/text/diagnostics.ts";
import { paint } from "./paint.ts";
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
function findings(error: CortexError, colour: boolean): string[] {
  const diagnostics = error.code === "fleet_invalid" ? error.details["diagnostics"] : undefined;
  return Array.isArray(diagnostics)
    ? [printDiagnostics(diagnostics as readonly Diagnostic[], { colour }), ""]
    : [];
}

/** What happened, the facts, and what to do next. */
export function printError(error: CortexError, options: { readonly colour: boolean }): string {
  const headline = `${paint("Error", "red", options.colour)} ${paint(`[${error.code}]`, "dim", options.colour)} ${error.message}`;
  return [
    ...findings(error, options.colour),
    headline,
    ...detailLines(error),
    `${paint("Next:", "bold", options.colour)} ${error.next}`,
  ].join("\n");
}

/** The same as data, for `--json`. */
export function errorToJson(error: CortexError): Record<string, unknown> {
  return {
    error: {
      code: error.code,
      message: error.message,
      next: error.next,
      ...(error.param === undefined ? {} : { param: error.param }),
      details: error.details,
    },
  };
}
