import type { DoctorReport, Finding, FindingStatus } from "../../protocol/findings/doctor-report.ts";
import { paint, type Paint } from "../print/paint.ts";
import type { Look, View } from "./view.ts";

const MARKS: Readonly<Record<FindingStatus, { readonly word: string; readonly style: Paint }>> = {
  ok: { word: "ok", style: "green" },
  note: { word: "note", style: "dim" },
  warning: { word: "warning", style: "yellow" },
  problem: { word: "problem", style: "red" },
};

export const doctorView = (report: DoctorReport): View<DoctorReport> => ({
  json: report,
  wraps: true,
  human: (look) => doctorText(report, look),
});

/** One line for each thing that was looked at, with its mend below; the verdict last, where the eye is. */
function doctorText({ findings, host, version }: DoctorReport, look: Look): string {
  const width = Math.max(...findings.map((finding) => titleOf(finding).length));
  return [
    `cortex ${version} on ${host}`,
    "",
    ...findings.map((finding) => findingText(finding, { width, look })),
    "",
    verdict(findings, look),
  ].join("\n");
}

const titleOf = ({ check, subject }: Finding): string => (subject === "" ? check : `${check} ${subject}`);

function findingText(
  finding: Finding,
  { width, look: { colour } }: { readonly width: number; readonly look: Look },
): string {
  const { word, style } = MARKS[finding.status];
  const line = `${paint(word.padEnd(7), style, colour)}  ${titleOf(finding).padEnd(width)}  ${finding.message}`;
  return finding.mend === undefined
    ? line
    : `${line}\n${" ".repeat(9)}${paint("mend:", "bold", colour)} ${finding.mend}`;
}

function verdict(findings: readonly Finding[], { colour }: Look): string {
  const count = (status: FindingStatus) => findings.filter((finding) => finding.status === status).length;
  const [problems, warnings] = [count("problem"), count("warning")];
  const words = `${problems} problem${problems === 1 ? "" : "s"}, ${warnings} warning${warnings === 1 ? "" : "s"}`;
  if (problems > 0) return paint(`${words}.`, "red", colour);
  return warnings > 0
    ? paint(`No problem, ${warnings} warning${warnings === 1 ? "" : "s"}.`, "yellow", colour)
    : paint("All is well.", "green", colour);
}
