import { paint } from "./paint.ts";

export interface VerificationReport {
  readonly sound: boolean;
  readonly checked: number;
  readonly changes: number;
  readonly against_snapshot: boolean;
  readonly findings: readonly { readonly check: string; readonly where: string; readonly message: string }[];
}

/** One verdict, and every finding with its place. */
export function printVerification(
  report: VerificationReport,
  { colour }: { readonly colour: boolean },
): string {
  const facts = `${report.checked} facts about ${report.changes} change${report.changes === 1 ? "" : "s"} checked`;
  if (report.sound) {
    const source = report.against_snapshot
      ? "against the snapshot"
      : "against what the plan says it saw; --against FILE checks that too";
    return `${paint("Sound.", "green", colour)} ${facts} ${source}.`;
  }
  const lines = report.findings.map(({ check, where, message }) => `  [${check}] ${where}: ${message}`);
  const count = `${report.findings.length} finding${report.findings.length === 1 ? "" : "s"}`;
  return [
    ...lines,
    `${paint("Not sound.", "red", colour)} ${count}; ${facts}.`,
    `${paint("Next:", "bold", colour)} do not apply it; make the plan again: cortex plan --out FILE`,
  ].join("\n");
}
