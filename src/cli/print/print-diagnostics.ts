import type { Diagnostic } from "../../fleet/text/diagnostics.ts";
import { moreAbout } from "./more-about.ts";
import { paint } from "./paint.ts";

export interface DiagnosticsLook {
  readonly colour: boolean;
  /** What follows says where there is more about them. */
  readonly isPart?: boolean;
}

/** Findings as text: place, code, message, the line with a mark below it, and what to do; the last line names their codes. */
export function printDiagnostics(
  diagnostics: readonly Diagnostic[],
  { colour, isPart = false }: DiagnosticsLook,
): string {
  if (diagnostics.length === 0) return "";
  const blocks = diagnostics.map((finding) => printDiagnostic(finding, colour));
  const codes = diagnostics.map(({ code }) => code);
  const more = isPart ? "" : `\n${moreAbout(codes, { colour })}`;
  return [...blocks, `${summary(diagnostics)}${more}`].join("\n\n");
}

function printDiagnostic(finding: Diagnostic, colour: boolean): string {
  const severity =
    finding.severity === "error" ? paint("error", "red", colour) : paint("warning", "yellow", colour);
  const place = finding.file === "" ? "" : `${paint(placeText(finding), "bold", colour)}: `;
  const lines = [`${place}${severity} ${finding.code}: ${finding.message}`, ...sourceLines(finding, colour)];
  for (const related of finding.related ?? []) lines.push(`  ${placeText(related)}: ${related.message}`);
  lines.push(`  ${paint("help:", "cyan", colour)} ${finding.help}`);
  return lines.join("\n");
}

const placeText = (place: {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}): string => `${place.file}:${place.line}:${place.column}`;

function sourceLines(finding: Diagnostic, colour: boolean): string[] {
  if (finding.sourceLine === undefined) return [];
  const number = String(finding.line);
  const gutter = " ".repeat(number.length);
  // Tabs stay tabs in front of the mark, so that it stands below the text in any terminal.
  const indent = finding.sourceLine.slice(0, finding.column - 1).replaceAll(/[^\t]/g, " ");
  const mark = paint("^".repeat(Math.max(1, finding.length ?? 1)), "red", colour);
  return [`  ${number} | ${finding.sourceLine}`, `  ${gutter} | ${indent}${mark}`];
}

function summary(diagnostics: readonly Diagnostic[]): string {
  const errors = diagnostics.filter(({ severity }) => severity === "error").length;
  const warnings = diagnostics.length - errors;
  const parts = [count(errors, "error"), count(warnings, "warning")].filter((part) => part !== "");
  return `${parts.join(", ")}.`;
}

const count = (amount: number, noun: string): string =>
  amount === 0 ? "" : `${amount} ${noun}${amount === 1 ? "" : "s"}`;
