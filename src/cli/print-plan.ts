import { formatMib } from "../core/quantities.ts";
import type { PlanChange, PlanDocument, PlanNeuron } from "../protocol/plan-document.ts";
import { paint, type Paint } from "./paint.ts";

interface PrintOptions {
  readonly colour: boolean;
}

const SYMBOLS = { load: "+", unload: "-", replace: "~" } as const;
const SYMBOL_PAINT: Readonly<Record<PlanChange["kind"], Paint>> = {
  load: "green",
  unload: "red",
  replace: "yellow",
};
const KINDS = ["load", "unload", "replace"] as const;

/**
 * A plan as text: the verdict first, then every change with its reason, what it does to the memory of each device,
 * what could not be placed and why, and the summary line last, where a terminal leaves it in view.
 */
export function printPlan(plan: PlanDocument, options: PrintOptions): string {
  const sections = [
    headline(plan, options),
    changeLines(plan, options),
    deviceLines(plan, options),
    unplacedLines(plan, options),
    unknownLines(plan, options),
    unreachableLines(plan, options),
    leftAloneLines(plan, options),
    plan.changes.length > 0 ? planSummary(plan) : "",
  ];
  return sections.filter((section) => section !== "").join("\n\n");
}

/** "Plan: 2 to load, 0 to unload, 1 to replace, 3 unchanged." Scripts read this line: it changes with notice only. */
export function planSummary(plan: PlanDocument): string {
  const counts = KINDS.map(
    (kind) => `${plan.changes.filter((change) => change.kind === kind).length} to ${kind}`,
  );
  const missing = plan.unplaced.reduce((total, copy) => total + copy.missing_replicas, 0);
  const unplaced = missing === 0 ? "" : `, ${missing} unplaced`;
  return `Plan: ${counts.join(", ")}, ${plan.unchanged} unchanged${unplaced}.`;
}

/** "3f2a1c9 (dirty)": the revision as short as it can be told. */
export function revisionText(revision: PlanDocument["revision"]): string {
  if (revision.commit === null) return `${revision.path} (not in git)`;
  return `${revision.commit.slice(0, 7)}${revision.dirty ? " (dirty)" : ""}`;
}

function headline(plan: PlanDocument, { colour }: PrintOptions): string {
  const at = revisionText(plan.revision);
  if (plan.changes.length > 0) {
    const verdict = plan.complete ? "would match" : "would come closer to";
    return paint(`With these changes the fleet ${plan.fleet} ${verdict} ${at}.`, "bold", colour);
  }
  if (plan.complete) return paint(`No changes. The fleet matches ${at}.`, "green", colour);
  return paint(`Nothing can be changed now, and the fleet does not match ${at}.`, "yellow", colour);
}

function changeLines(plan: PlanDocument, { colour }: PrintOptions): string {
  if (plan.changes.length === 0) return "";
  const used = KINDS.filter((kind) => plan.changes.some((change) => change.kind === kind));
  const legend = used
    .map((kind) => `${paint(SYMBOLS[kind], SYMBOL_PAINT[kind], colour)} ${kind}`)
    .join("   ");
  const rows = plan.changes.flatMap((change) => [
    `  ${paint(SYMBOLS[change.kind], SYMBOL_PAINT[change.kind], colour)} ${change.kind} ${paint(change.model_id, "bold", colour)} on ${change.neuron}${placeText(change)}`,
    `      ${paint(`(${change.detail}${change.protected ? "; protect = true" : ""})`, "dim", colour)}`,
  ]);
  return [`  ${legend}`, "", ...rows].join("\n");
}

/** ", device 0, 12.0 GiB": an estimate is marked as one. */
function placeText(change: PlanChange): string {
  const devices =
    change.devices.length === 0
      ? ""
      : `, device${change.devices.length === 1 ? "" : "s"} ${change.devices.join(" and ")}`;
  return `${devices}${sizeText(change)}`;
}

function sizeText(change: PlanChange): string {
  if (change.vram_source === "unknown") return ", size unknown";
  const approximately = change.vram_source === "measured" ? "" : "~";
  if (change.kind === "replace") {
    return `, ${formatMib(change.vram_before_mb)} -> ${approximately}${formatMib(change.vram_after_mb)}`;
  }
  const vramMb = change.kind === "load" ? change.vram_after_mb : change.vram_before_mb;
  return `, ${approximately}${formatMib(vramMb)}`;
}

/** Only devices whose memory the plan changes. */
function deviceLines(plan: PlanDocument, { colour }: PrintOptions): string {
  const rows = plan.neurons.flatMap((neuron) =>
    neuron.devices
      .filter((device) => device.vram_before_mb !== device.vram_after_mb)
      .map((device) => ({
        label: `${neuron.name} ${device.index}`,
        name: `${device.name}${device.kind === "simulated" ? " (simulated)" : ""}`,
        text: `${formatMib(device.vram_before_mb)} -> ${formatMib(device.vram_after_mb)} of ${formatMib(device.vram_total_mb)}`,
      })),
  );
  if (rows.length === 0) return "";
  const labelWidth = Math.max(...rows.map((row) => row.label.length));
  const nameWidth = Math.max(...rows.map((row) => row.name.length));
  const lines = rows.map(
    (row) => `  ${row.label.padEnd(labelWidth)}  ${row.name.padEnd(nameWidth)}  ${row.text}`,
  );
  return [paint("Memory", "bold", colour), ...lines].join("\n");
}

function unplacedLines(plan: PlanDocument, { colour }: PrintOptions): string {
  if (plan.unplaced.length === 0) return "";
  const lines = plan.unplaced.flatMap((copy) => [
    `  ${paint("!", "red", colour)} ${copy.model_id}: ${copy.missing_replicas} ${copy.missing_replicas === 1 ? "copy" : "copies"} missing`,
    ...copy.refusals.map((refusal) => `      ${refusal.neuron}: ${refusal.reason}`),
    ...(copy.hint === "" ? [] : [`      ${paint("help:", "cyan", colour)} ${copy.hint}`]),
  ]);
  return [paint("Cannot be placed", "bold", colour), ...lines].join("\n");
}

function unknownLines(plan: PlanDocument, { colour }: PrintOptions): string {
  if (plan.unknown.length === 0) return "";
  const lines = plan.unknown.map(({ model_id, replicas, neurons }) => {
    const copies = replicas === 1 ? "1 copy" : `${replicas} copies`;
    const silent = neurons.length === 1 ? "which does not answer" : "which do not answer";
    return `  ? ${model_id}: ${copies} may be on ${neurons.join(" or ")}, ${silent} (drain = true gives such a neuron up)`;
  });
  return [paint("Not known", "bold", colour), ...lines].join("\n");
}

function unreachableLines(plan: PlanDocument, { colour }: PrintOptions): string {
  const silent = plan.neurons.filter((neuron) => !neuron.reachable);
  if (silent.length === 0) return "";
  const line = (neuron: PlanNeuron): string =>
    `  ${paint("!", "yellow", colour)} ${neuron.name} (${neuron.endpoint}): ${neuron.problem ?? "no answer"}`;
  return [paint("Do not answer (left untouched)", "bold", colour), ...silent.map(line)].join("\n");
}

function leftAloneLines(plan: PlanDocument, { colour }: PrintOptions): string {
  if (plan.left_alone.length === 0) return "";
  const lines = plan.left_alone.map((model) => `  ${model.model_id} on ${model.neuron}: ${model.reason}`);
  return [paint("Left alone", "bold", colour), ...lines].join("\n");
}
