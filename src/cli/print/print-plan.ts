import type { PlanChange, PlanDocument } from "../../protocol/plan-document.ts";
import { isSettled } from "../../protocol/plan-settled.ts";
import { paint, type Paint } from "./paint.ts";
import {
  CHANGE_KINDS,
  criticalPathText,
  devicesText,
  downtimeSummary,
  downtimeText,
  durationText,
  gapText,
  guardLines,
  observationText,
  planSummary,
  requestsText,
  scheduleText,
  sizeText,
  trafficText,
  verdictText,
} from "./plan-words.ts";
import { declarationLines } from "./print-declaration.ts";
import { planSections } from "./print-plan-sections.ts";

interface PrintOptions {
  readonly colour: boolean;
}

const SYMBOLS = { load: "+", unload: "-", replace: "~" } as const;
const SYMBOL_PAINT: Readonly<Record<PlanChange["kind"], Paint>> = {
  load: "green",
  unload: "red",
  replace: "yellow",
};

/**
 * A plan as text: the verdict first, then every change with its reason, what it does to the memory of each device,
 * what could not be placed and why, and the summary line last, where a terminal leaves it in view.
 */
export function printPlan(plan: PlanDocument, options: PrintOptions): string {
  const sections = [
    headline(plan, options),
    observationText(plan),
    changeLines(plan, options),
    declarationLines(plan, options),
    ...planSections(plan, options),
    closingLines(plan),
  ];
  return sections.filter((section) => section !== "").join("\n\n");
}

function headline(plan: PlanDocument, { colour }: PrintOptions): string {
  const isChange = plan.changes.length + plan.declaration.changes.length > 0;
  const style = plan.errored ? "red" : isChange ? "bold" : plan.complete ? "green" : "yellow";
  return paint(verdictText(plan), style, colour);
}

function changeLines(plan: PlanDocument, options: PrintOptions): string {
  if (plan.changes.length === 0) return "";
  const { colour } = options;
  const used = CHANGE_KINDS.filter((kind) => plan.changes.some((change) => change.kind === kind));
  const legend = used
    .map((kind) => `${paint(SYMBOLS[kind], SYMBOL_PAINT[kind], colour)} ${kind}`)
    .join("   ");
  const places = new Map(plan.assignments.map((place) => [`${place.model_id}@${place.neuron}`, place]));
  const rows = plan.changes.flatMap((change) => rowLines(change, { plan, places }, options));
  return [`  ${legend}`, "", ...rows].join("\n");
}

interface Drawn {
  readonly plan: PlanDocument;
  readonly places: Places;
}

function rowLines(change: PlanChange, { plan, places }: Drawn, { colour }: PrintOptions): string[] {
  const symbol = paint(SYMBOLS[change.kind], SYMBOL_PAINT[change.kind], colour);
  const name = paint(change.model_id, "bold", colour);
  const devices = change.devices.length === 0 ? "" : `, ${devicesText(change.devices)}`;
  const head = `  ${symbol} ${change.kind} ${name} on ${change.neuron}${devices}, ${sizeText(change)}`;
  const cause = change.caused_by === "pending" ? "; pending without this branch too" : "";
  const reason = `(${change.detail}${protectText(change)}${cause})`;
  const facts = [
    whyHere(change, places),
    change.kind === "unload" ? "" : `takes ${durationText(change)}`,
    waitsText(change),
    requestsText(change),
  ].filter((fact) => fact !== "");
  const down = downtimeText(change, plan);
  return [
    head,
    `      ${paint(reason, "dim", colour)}`,
    ...facts.map((fact) => `      ${paint(fact, "dim", colour)}`),
    ...(down === "" ? [] : [`      ${paint(`! ${down}`, "yellow", colour)}`]),
  ];
}

/** What no block declares any more says itself that its last one did. */
const protectText = (change: PlanChange): string =>
  change.protected && change.action_reason !== "loaded_not_declared" ? "; protect = true" : "";

/** Where copies are in the end, by `model@neuron`. */
type Places = ReadonlyMap<string, PlanDocument["assignments"][number]>;

function whyHere(change: PlanChange, places: Places): string {
  if (change.kind !== "load") return "";
  const place = places.get(`${change.model_id}@${change.neuron}`);
  return place === undefined ? "" : `here: ${place.reason}`;
}

const waitsText = (change: PlanChange): string =>
  change.depends_on.length === 0 ? "" : `after: ${change.depends_on.join(", ")}`;

/** What is true of the plan as a whole; of one that changes nothing and leaves nothing open the headline says it all. */
function closingLines(plan: PlanDocument): string {
  if (plan.changes.length === 0 && isSettled(plan))
    return plan.declaration.changes.length === 0 ? "" : planSummary(plan);
  const lines = [
    gapText(plan),
    trafficText(plan),
    scheduleText(plan),
    criticalPathText(plan),
    downtimeSummary(plan),
    ...guardLines(plan),
    planSummary(plan),
  ];
  return lines.filter((line) => line !== "").join("\n");
}
