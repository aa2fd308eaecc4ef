import { formatMib } from "../../core/quantities.ts";
import { isLoopback } from "../../core/addresses.ts";
import { NEURON_DEFAULT_PORT } from "../../core/addresses.ts";
import type { PlanDocument, PlanNeuron } from "../../protocol/plan-document.ts";
import type { ExplainedUnplaced } from "../../protocol/plan-unplaced.ts";
import { paint } from "./paint.ts";
import { comparisonLines, downloadLines, survivalLines } from "./plan-words.ts";

interface PrintOptions {
  readonly colour: boolean;
}

/** Refusals that are shown for one copy; `--json` has all. */
const MOST_REFUSALS = 12;

/** Everything between the changes and the closing lines; empty sections are empty texts. */
export function planSections(plan: PlanDocument, options: PrintOptions): string[] {
  const { colour } = options;
  const section = (title: string, lines: readonly string[]): string =>
    lines.length === 0 ? "" : [paint(title, "bold", colour), ...lines.map((line) => `  ${line}`)].join("\n");
  return [
    section("This branch", comparisonLines(plan)),
    section("Memory", memoryLines(plan)),
    section("Downloads", downloadLines(plan)),
    section(
      "Cannot be placed",
      plan.unplaced.flatMap((copy) => unplacedLines(copy, options)),
    ),
    section(
      "Deferred",
      plan.deferred.map(({ id, reason }) => `! ${id}: ${reason}`),
    ),
    section("Not known", unknownLines(plan)),
    section("Do not answer (left untouched)", silentLines(plan, options)),
    section(
      "Left alone",
      plan.left_alone.map((copy) => `${copy.model_id} on ${copy.neuron}: ${copy.reason}`),
    ),
    plan.changes.length === 0 ? "" : section("If one neuron dies", survivalLines(plan)),
  ];
}

/** Only devices whose memory the plan changes, with the most that is in use on the way where that is more. */
function memoryLines(plan: PlanDocument): string[] {
  const rows = plan.neurons.flatMap((neuron) =>
    neuron.devices
      .filter(
        (device) =>
          device.vram_before_mb !== device.vram_after_mb || device.vram_peak_mb !== device.vram_after_mb,
      )
      .map((device) => ({
        label: `${neuron.name} ${device.index}`,
        name: `${device.name}${device.kind === "simulated" ? " (simulated)" : ""}`,
        text: `${formatMib(device.vram_before_mb)} -> ${formatMib(device.vram_after_mb)} of ${formatMib(device.vram_total_mb)}${peakText(device)}`,
      })),
  );
  const labelWidth = Math.max(0, ...rows.map((row) => row.label.length));
  const nameWidth = Math.max(0, ...rows.map((row) => row.name.length));
  return rows.map((row) => `${row.label.padEnd(labelWidth)}  ${row.name.padEnd(nameWidth)}  ${row.text}`);
}

function peakText(device: PlanNeuron["devices"][number]): string {
  const ends = Math.max(device.vram_before_mb, device.vram_after_mb);
  return device.vram_peak_mb > ends ? `, ${formatMib(device.vram_peak_mb)} on the way` : "";
}

function unplacedLines(copy: ExplainedUnplaced, { colour }: PrintOptions): string[] {
  const missing = `${copy.missing_replicas} ${copy.missing_replicas === 1 ? "copy" : "copies"} missing`;
  const shown = copy.refusals.slice(0, MOST_REFUSALS);
  const rest = copy.refusals.length - shown.length;
  const remedies = copy.remedies.map(({ text }) => text);
  const help = remedies.length === 0 && copy.hint !== "" ? [copy.hint] : remedies;
  return [
    `${paint("!", "red", colour)} ${copy.model_id}: ${missing}; ${copy.summary}`,
    ...shown.map((refusal) => `    ${refusal.neuron}: ${refusal.reason}`),
    ...(rest > 0 ? [`    and ${rest} more neurons; --json has them all`] : []),
    ...help.map((text) => `    ${paint("help:", "cyan", colour)} ${text}`),
  ];
}

function unknownLines(plan: PlanDocument): string[] {
  return plan.unknown.map(({ model_id, replicas, neurons }) => {
    const copies = replicas === 1 ? "1 copy" : `${replicas} copies`;
    const silent = neurons.length === 1 ? "which does not answer" : "which do not answer";
    return `? ${model_id}: ${copies} may be on ${neurons.join(" or ")}, ${silent} (drain = true gives such a neuron up)`;
  });
}

function silentLines(plan: PlanDocument, { colour }: PrintOptions): string[] {
  const silent = plan.neurons.filter((neuron) => !neuron.reachable);
  const shown = silent.map(
    (neuron) =>
      `${paint("!", "yellow", colour)} ${neuron.name} (${neuron.endpoint}): ${neuron.problem ?? "no answer"}`,
  );
  const help = startText(silent);
  return help === "" ? shown : [...shown, `  ${paint("help:", "cyan", colour)} ${help}`];
}

/** What a person does who has not started a neuron yet: nobody else refuses connections for long. */
export function startText(silent: readonly PlanNeuron[]): string {
  const [first] = silent.filter(({ problem }) => isRefusal(problem));
  if (first === undefined) return "";
  const { hostname, port } = new URL(first.endpoint);
  const portFlag = port === String(NEURON_DEFAULT_PORT) ? "" : ` --port ${port === "" ? "80" : port}`;
  return isLoopback(hostname)
    ? `is it running? Start it on this machine: cortex neuron${portFlag}`
    : `is it running? Start it on ${hostname}: cortex neuron --host 0.0.0.0${portFlag} --token-file neuron.token`;
}

const isRefusal = (problem: string | null): boolean => /refused|ECONNREFUSED/i.test(problem ?? "");
