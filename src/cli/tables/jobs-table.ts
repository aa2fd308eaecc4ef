import { formatBytes } from "../../core/quantities.ts";
import type { JobsReport } from "../../protocol/status-report.ts";
import { fitTable, type TableCell, type TableColumn } from "../print/fit-table.ts";
import type { Paint } from "../print/paint.ts";
import { agoText, shortDuration } from "../print/short-words.ts";
import type { Look, View } from "../view/view.ts";

export const jobsView = (report: JobsReport): View<JobsReport> => ({
  json: report,
  human: (look) => printJobs(report, look),
});

type ReportedJob = JobsReport["jobs"][number];

const COLUMNS: readonly TableColumn[] = [
  { name: "BEGAN", right: true },
  { name: "NEURON", least: 8 },
  { name: "JOB" },
  { name: "MODEL", least: 16 },
  { name: "STATE" },
  { name: "TOOK", right: true, drop: 1 },
  { name: "WHAT", least: 12, drop: 2 },
  { name: "ID", drop: 3 },
];

function printJobs({ jobs, silent, now_ms: nowMs }: JobsReport, look: Look): string {
  const table =
    jobs.length === 0
      ? "No neuron remembers a load or an unload."
      : fitTable(
          COLUMNS,
          jobs.map((job) => jobCells(job, nowMs)),
          look,
        );
  const missing = silent.map(({ neuron, problem }) => `${neuron} does not say: ${problem}`);
  return [table, ...(missing.length === 0 ? [] : ["", ...missing])].join("\n");
}

function jobCells(job: ReportedJob, nowMs: number): TableCell[] {
  const tookMs = (job.ended_at_ms ?? nowMs) - job.created_at_ms;
  return [
    { text: agoText(job.created_at_ms, nowMs) },
    { text: job.neuron },
    { text: job.kind },
    { text: job.model_id },
    { text: job.state, style: styleOf(job) },
    { text: shortDuration(tookMs) },
    { text: whatText(job, nowMs), style: job.error === null ? "dim" : "red" },
    { text: job.id, style: "dim" },
  ];
}

function styleOf({ state }: ReportedJob): Paint {
  if (state === "done") return "green";
  return state === "failed" ? "red" : "yellow";
}

function whatText(job: ReportedJob, nowMs: number): string {
  if (job.error !== null) return `${job.error.code}: ${job.error.message}`;
  const { download, evicted = [], progress, eta_at_ms: etaMs } = job;
  if (job.ended_at_ms !== null) return evicted.length === 0 ? "" : `in the place of ${evicted.join(", ")}`;
  const left = etaMs === undefined || etaMs <= nowMs ? "" : `, ${shortDuration(etaMs - nowMs)} left`;
  if (download !== undefined) {
    const total = download.bytes_total === null ? "" : ` of ${formatBytes(download.bytes_total)}`;
    return `${formatBytes(download.bytes_done)}${total}${left}`;
  }
  return progress === null ? left.slice(2) : `${Math.round(progress * 100)} %${left}`;
}
