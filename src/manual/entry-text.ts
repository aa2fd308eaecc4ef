import type { CodeEntry } from "./manual.ts";

/** An entry for a terminal, which breaks its lines. */
export function entryText(entry: CodeEntry): string {
  return [
    headline(entry),
    "",
    entry.title === null ? entry.why : `${capital(entry.title)}. ${entry.why}`,
    "",
    "What to do:",
    ...entry.steps.map((step) => `- ${step.replaceAll("`", "")}`),
    "",
    `In the documentation: ${entry.doc}`,
  ].join("\n");
}

/** "model_not_found: HTTP 404, exit code 1, trying again does not help". */
function headline({ code, severity, error }: CodeEntry): string {
  return `${code}: ${error === null ? `${severity ?? ""} in the fleet files` : factsText(error)}`;
}

export function factsText({
  httpStatus,
  exitCode,
  retryable,
}: {
  readonly httpStatus: number;
  readonly exitCode: number;
  readonly retryable: boolean;
}): string {
  const retry = retryable ? "trying again can help" : "trying again does not help by itself";
  return `HTTP ${httpStatus}, exit code ${exitCode}; ${retry}`;
}

const capital = (text: string): string => `${text.slice(0, 1).toUpperCase()}${text.slice(1)}`;
