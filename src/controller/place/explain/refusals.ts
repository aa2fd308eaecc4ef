import type { Blocker, Conflict, NeuronVerdict, Remedy, UnplacedExplanation } from "../board/placement.ts";
import { present } from "../../../core/present.ts";

/** Copies of the model that are not there as declared: nowhere, or with old settings. */
export const copiesShort = ({ missing, outdated }: UnplacedExplanation): number => missing + outdated;

/** What would help most. */
export function adviceOf(explanation: UnplacedExplanation): string {
  const remark = explanation.outdated > 0 ? "the running copy keeps its old settings; " : "";
  return remark + hintOf(explanation);
}

/** The first check that fails. */
export const reasonOf = ({ checks }: NeuronVerdict): string =>
  checks.find(({ ok }) => !ok)?.detail ?? "would hold it, were it not needed for others";

function hintOf(explanation: UnplacedExplanation): string {
  if (explanation.brief)
    return `one of many without a place; \`cortex why ${explanation.modelId}\` tells more`;
  const { nearest, need } = explanation;
  const [first] = explanation.remedies;
  const help =
    first === undefined ? "add a neuron that has what the block asks for" : remedyText(first, explanation);
  if (nearest === null || nearest.shortMib === null) return help;
  const lacking = need.mib === undefined ? "has no free memory" : `is ${nearest.shortMib} MB short`;
  const hasNumber = first?.kind === "context" || need.mib === undefined;
  const shrink = hasNumber ? "" : "lower `context` or `parallel`, or ";
  return `${nearest.neuron} comes closest and ${lacking}: ${shrink}${help}`;
}

/** The case in one sentence. */
export function summaryOf(explanation: UnplacedExplanation): string {
  if (explanation.brief) return hintOf(explanation);
  const old = explanation.outdated > 0 ? "; the running copy keeps its old settings meanwhile" : "";
  return caseOf(explanation) + old;
}

function caseOf(explanation: UnplacedExplanation): string {
  const { need, nearest, blockers, conflict, layer } = explanation;
  const size = need.mib === undefined ? "memory" : `${need.mib} MB (${need.source})`;
  if (layer === "never") return `never fits: ${neverText(explanation, size)}`;
  if (conflict !== null) return `does not fit together with others: ${conflictText(conflict)}`;
  if (blockers.length > 0) return `does not fit now: ${blockersText(blockers)}`;
  return `does not fit now: needs ${size}, and ${nearest === null ? "no neuron answers" : `${nearest.neuron} ${reasonOf(nearest)}`}`;
}

function neverText({ nearest, verdicts }: UnplacedExplanation, size: string): string {
  if (nearest === null) return `needs ${size}, and no neuron is declared`;
  const hosting = verdicts.filter(({ checks }) =>
    checks.some(({ check, ok }) => check === "one_copy" && !ok),
  );
  const also =
    hosting.length === 0
      ? ""
      : `; ${hosting.map(({ neuron }) => neuron).join(", ")} ${hosting.length === 1 ? "holds" : "hold"} a copy already`;
  const misses = verdicts.filter(({ checks }) =>
    checks.some(({ check, ok }) => !ok && check !== "one_copy" && check !== "memory"),
  );
  const closest = misses.includes(nearest) ? nearest : (misses[0] ?? nearest);
  return `even empty, ${closest.neuron} could not hold it: ${reasonOf(closest)}${also}`;
}

const BECAUSE: Readonly<Record<Blocker["because"], string>> = {
  same_class: "is of the same class",
  higher_class: "is of a higher class",
  protected: "has protect = true",
  loaded_by_hand: "was loaded by hand",
  other_fleet: "belongs to another fleet",
  nowhere_to_go: "has nowhere to go",
};

function blockersText(blockers: readonly Blocker[]): string {
  const [first] = blockers;
  const holders = blockers.map(({ modelId, mib, because, largestHoleMib }) => {
    const hole = largestHoleMib === null ? "" : `; the largest hole elsewhere has ${largestHoleMib} MB`;
    return `${modelId} (${mib} MB, ${BECAUSE[because]}${hole})`;
  });
  return `fits on ${first?.neuron ?? "a neuron"} without ${holders.join(" and ")}`;
}

function conflictText({ models, needMib, haveMib, neurons, lines }: Conflict): string {
  const names = models.map(({ modelId, copies }) => (copies === 1 ? modelId : `${copies} x ${modelId}`));
  const where = neurons.length > 4 ? `${neurons.length} neurons` : neurons.join(", ");
  const have = `${neurons.length === 1 ? "has" : "have"} ${haveMib} MB`;
  const room =
    needMib > haveMib
      ? `need ${needMib} MB, and ${where} ${have} for them`
      : `need ${needMib} MB; ${where} ${have} for them, but not in pieces that fit`;
  const because = lines.map(({ key, id }) => `${key} of ${id}`);
  const decides = because.length === 1 ? "this line decides" : "each of these lines decides";
  const matter = because.length === 0 ? "" : `; ${decides}: ${someOf(because, ", ")}`;
  return `${someOf(names, " + ")} ${room}${matter}`;
}

/** A sentence has room for so many; the JSON plan has all. */
const NAMED_AT_MOST = 6;

const someOf = (names: readonly string[], between: string): string =>
  names.length <= NAMED_AT_MOST + 1
    ? names.join(between)
    : `${names.slice(0, NAMED_AT_MOST).join(between)}${between}${names.length - NAMED_AT_MOST} more`;

/** A remedy in words, naming the line of the fleet files. */
export const remedyText = (remedy: Remedy, explanation: UnplacedExplanation): string =>
  REMEDY_TEXT[remedy.kind](remedy, explanation) + costText(remedy);

const NEEDS_NO_TRIAL: ReadonlySet<Remedy["kind"]> = new Set(["replicas", "neuron_back", "device"]);

/** The same for people, who are told what nobody has tried. */
export const adviceText = (remedy: Remedy, explanation: UnplacedExplanation): string =>
  remedyText(remedy, explanation) +
  (remedy.tried === true || NEEDS_NO_TRIAL.has(remedy.kind) ? "" : " (not tried)");

/** Who pays for it, where that is known. */
const costText = ({ costs = [] }: Remedy): string =>
  costs.length === 0 ? "" : `; ${costs.join(" and ")} then ${costs.length === 1 ? "loses" : "lose"} a copy`;

type RemedyWords = (remedy: Remedy, explanation: UnplacedExplanation) => string;

const fitsOn = ({ neuron }: Remedy): string => (neuron === null ? "" : `; it then fits on ${neuron}`);

const ownSetting: RemedyWords = (remedy, { modelId }) =>
  `set \`${remedy.kind} = ${remedy.to}\` (now ${remedy.from ?? "unset"}) in the block of ${modelId}${fitsOn(remedy)}`;

const REMEDY_TEXT: Readonly<Record<Remedy["kind"], RemedyWords>> = {
  context: ownSetting,
  min_devices: ownSetting,
  min_device_vram_mb: ownSetting,
  vram_mb: (remedy, { modelId }) =>
    `if it really takes no more than ${remedy.to} MB, declare \`vram_mb = ${remedy.to}\` (now ${remedy.from ?? "unset"}) for ${modelId}${fitsOn(remedy)}`,
  pinned_on: ({ neuron, to }, { modelId }) =>
    `allow ${neuron ?? "another neuron"}: \`pinned_on = ${to}\` in the block of ${modelId}`,
  drain: (remedy) =>
    `end the drain: \`drain = false\` in the block of neuron ${present(remedy.line, "the line of a drain").id}${fitsOn(remedy)}`,
  residency_priority: (remedy, { modelId }) =>
    `raise \`residency_priority\` of ${modelId} to ${remedy.to} (now ${remedy.from ?? "100"})${fitsOn(remedy)}`,
  replicas: ({ to, from }, { modelId }) =>
    `want less: \`replicas = ${to}\` (now ${from ?? "0"}) in the block of ${modelId}`,
  other_replicas: (remedy) =>
    `lower \`replicas\` of ${remedy.line?.id ?? "another model"} to ${remedy.to} (now ${remedy.from ?? "1"})${fitsOn(remedy)}`,
  resume: (remedy) => `resume ${remedy.to}, which is draining and takes no new work${fitsOn(remedy)}`,
  protect: (remedy) =>
    `end the protection: \`protect = false\` in the block of ${present(remedy.line, "the line of a protection").id}${fitsOn(remedy)}`,
  unload: (remedy) => `unload ${remedy.to}, which was loaded by hand${fitsOn(remedy)}`,
  foreign_memory: (remedy) =>
    `end other processes that hold ${remedy.from ?? "some"} MB of its devices${fitsOn(remedy)}`,
  neuron_back: ({ to }) => `bring ${to} back, which does not answer and may hold it`,
  device: ({ to }, { modelId, need }) => `add ${to}${need.mib === undefined ? "" : `, for ${modelId}`}`,
};
