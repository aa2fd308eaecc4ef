import { paint } from "../print/paint.ts";
import type { Look, View } from "./view.ts";

interface VerificationReport {
  readonly sound: boolean;
  readonly checked: number;
  readonly changes: number;
  readonly against_snapshot: boolean;
  readonly findings: readonly { readonly check: string; readonly where: string; readonly message: string }[];
}

export function verificationView(
  verified: Pick<VerificationReport, "checked" | "findings">,
  plan: { readonly changes: number; readonly againstSnapshot: boolean },
): View<VerificationReport> {
  const report: VerificationReport = {
    sound: verified.findings.length === 0,
    checked: verified.checked,
    changes: plan.changes,
    against_snapshot: plan.againstSnapshot,
    findings: verified.findings,
  };
  return { json: report, wraps: true, human: (look) => verificationText(report, look) };
}

/** One verdict, and every finding with its place. */
function verificationText(report: VerificationReport, { colour }: Look): string {
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
