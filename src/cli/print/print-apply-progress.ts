import { assertNever } from "../../core/assert-never.ts";
import { formatBytes, formatDuration, MIB_BYTES } from "../../core/quantities.ts";
import type { ApplyEvent, ApplyResult } from "../../protocol/apply-events.ts";
import { moreAbout } from "./more-about.ts";
import { paint } from "./paint.ts";

interface PrintOptions {
  readonly colour: boolean;
}

/** Progress within a state is a line for each so many percent, or so many bytes where nobody knows how many there are. */
const PERCENT_PER_LINE = 5;
const BYTES_PER_LINE = 512 * MIB_BYTES;

/** The lines of an apply, one for each event; no line for progress that says nothing new to a person reading a log. */
export class ApplyLines {
  readonly #options: PrintOptions;
  /** How far each step was when it was last told. */
  readonly #told = new Map<string, string>();

  constructor(options: PrintOptions) {
    this.#options = options;
  }

  print(event: ApplyEvent): string | undefined {
    if (event.type !== "step-progress" || event.state === "busy")
      return printApplyEvent(event, this.#options);
    const { step, state, fraction, download } = event;
    const far =
      fraction === null
        ? Math.floor((download?.bytes_done ?? 0) / BYTES_PER_LINE)
        : Math.floor((fraction * 100) / PERCENT_PER_LINE);
    const news = `${state} ${far}`;
    if (this.#told.get(step) === news) return undefined;
    this.#told.set(step, news);
    return printApplyEvent(event, this.#options);
  }
}

function printApplyEvent(event: ApplyEvent, { colour }: PrintOptions): string | undefined {
  switch (event.type) {
    case "step-started":
      return `  ${event.step} ...`;
    case "step-progress":
      return progressLine(event);
    case "step-done":
      return `  ${paint("done", "green", colour)} ${event.step} (${formatDuration(event.duration_ms)}${predictedText(event)})`;
    case "step-failed":
      return `  ${paint("failed", "red", colour)} ${event.step}: ${event.error.message}`;
    case "step-skipped":
      return `  ${paint("skipped", "yellow", colour)} ${event.step}: ${event.reason}`;
    case "devices-read":
      return undefined;
    default:
      return assertNever(event);
  }
}

/** Only where the prediction was off by more than a glance would forgive. */
function predictedText(event: ApplyEvent & { type: "step-done" }): string {
  const { duration_ms, predicted_secs, actual } = event;
  // What was foretold is the load alone.
  if (predicted_secs === null || actual.download_bytes > 0) return "";
  const predictedMs = predicted_secs * 1000;
  const isOff = Math.abs(duration_ms - predictedMs) > Math.max(5000, predictedMs / 2);
  return isOff ? `, predicted ${formatDuration(predictedMs)}` : "";
}

function progressLine(event: ApplyEvent & { type: "step-progress" }): string {
  if (event.state === "busy") {
    const why = event.reason === undefined ? "" : ` (${event.reason})`;
    return `  ${event.step}: the neuron cannot take it now${why}, asking again`;
  }
  const percent = event.fraction === null ? "" : ` ${Math.floor(event.fraction * 100)} %`;
  return `  ${event.step}: ${event.state}${percent}${downloadText(event.download)}`;
}

/** ", 1.2 GiB of 4.0 GiB, 2 m 10 s left". */
function downloadText(download: (ApplyEvent & { type: "step-progress" })["download"]): string {
  if (download === undefined) return "";
  const { bytes_done, bytes_total, eta_secs } = download;
  const total = bytes_total === null ? "" : ` of ${formatBytes(bytes_total)}`;
  const left = eta_secs === null ? "" : `, ${formatDuration(eta_secs * 1000)} left`;
  return `, ${formatBytes(bytes_done)}${total}${left}`;
}

/** What was done and what was not, failures in full, and the counts last. */
export function printApplyResult(result: ApplyResult, { colour }: PrintOptions): string {
  const lines: string[] = [];
  for (const { step, error } of result.failed) {
    lines.push(
      `${paint("Failed", "red", colour)} ${step}`,
      `  [${error.code}] ${error.message}`,
      `  Next: ${error.next}`,
    );
  }
  if (result.failed.length > 0) {
    const codes = result.failed.map(({ error }) => error.code);
    lines.push(moreAbout(codes, { colour }));
  }
  if (result.not_started.length > 0) lines.push(paint("Not started", "yellow", colour));
  for (const { step, reason } of result.not_started) lines.push(`  ${step}: ${reason}`);
  const running = result.still_running ?? [];
  if (running.length > 0)
    lines.push(paint("Still running; the neurons finish or drop it on their own", "yellow", colour));
  for (const step of running) lines.push(`  ${step}`);
  if (lines.length > 0) lines.push("");
  return [...lines, applySummary(result)].join("\n");
}

/** "Applied 2, failed 1, not started 0, in 12.3 s." Scripts read this line: it changes with notice only. */
export function applySummary(result: ApplyResult): string {
  const running = result.still_running?.length ?? 0;
  const rest = running === 0 ? "" : `, still running ${running}`;
  const counts = `Applied ${result.applied.length}, failed ${result.failed.length}, not started ${result.not_started.length}${rest}`;
  const stopped = result.interrupted ? " Stopped early." : result.timed_out ? " Out of time." : "";
  return `${counts}, in ${formatDuration(result.duration_ms)}.${stopped}`;
}
