import { formatBytes, formatDuration, formatMib } from "../../core/quantities.ts";
import type { PlanChange, PlanDocument, PlanDuration } from "../../protocol/plan-document.ts";
import { isSeen, isSettled } from "../../protocol/plan-settled.ts";
import { differencesText, revisionText } from "./declaration-words.ts";

/** Sentences that every rendering of a plan shares. */
export const CHANGE_KINDS = ["load", "unload", "replace"] as const;

/** "Plan: 2 to load, 0 to unload, 1 to replace, 3 unchanged." Scripts read this line: it changes with notice only. */
export function planSummary(plan: PlanDocument): string {
  const counts = CHANGE_KINDS.map(
    (kind) => `${plan.changes.filter((change) => change.kind === kind).length} to ${kind}`,
  );
  const { unplaced, unknown, deferred } = openCounts(plan);
  const open = [
    unplaced === 0 ? "" : `${unplaced} unplaced`,
    unknown === 0 ? "" : `${unknown} unknown`,
    deferred === 0 ? "" : `${deferred} deferred`,
    plan.declaration.changes.length === 0 ? "" : differencesText(plan.declaration.changes.length),
  ].filter((part) => part !== "");
  return `Plan: ${[...counts, `${plan.unchanged} unchanged`, ...open].join(", ")}.`;
}

function openCounts(plan: PlanDocument): Readonly<Record<"unplaced" | "unknown" | "deferred", number>> {
  return {
    unplaced: plan.unplaced.reduce((total, copy) => total + copy.missing_replicas, 0),
    unknown: plan.unknown.reduce((total, copy) => total + copy.replicas, 0),
    deferred: plan.deferred.length,
  };
}

/** What the plan leaves open, in short: "1 copy without a place", "2 changes deferred". */
export function openParts(plan: PlanDocument): string[] {
  const { unplaced, unknown, deferred } = openCounts(plan);
  return [
    unplaced === 0 ? "" : `${countOf(unplaced, "copy", "copies")} without a place`,
    unknown === 0 ? "" : `${countOf(unknown, "copy", "copies")} unknown`,
    deferred === 0 ? "" : `${countOf(deferred, "change", "changes")} deferred`,
    plan.outside_targets === 0
      ? ""
      : `${plan.outside_targets} more ${plan.excepted === undefined ? "outside of the targets" : "left out"}`,
    isSeen(plan) ? "" : plan.neurons.length === 1 ? "its neuron does not answer" : "no neuron answers",
  ].filter((part) => part !== "");
}

const countOf = (count: number, one: string, many: string): string => `${count} ${count === 1 ? one : many}`;

/** Whether the fleet ends up as declared, in one sentence. */
export function verdictText(plan: PlanDocument): string {
  if (plan.errored) return `This plan must not be applied: ${plan.problems.join("; ")}.`;
  const open = [...openParts(plan), ...servedOtherwise(plan)];
  const still = open.length === 0 ? "" : `; still open: ${open.join(", ")}`;
  return plan.changes.length > 0 ? changeVerdict(plan, still) : idleVerdict(plan, still);
}

/** What the gateway has to catch up with; of a branch it is the point. */
const servedOtherwise = ({ declaration }: PlanDocument): string[] =>
  declaration.compared_with === "gateway" && declaration.changes.length > 0
    ? [`${differencesText(declaration.changes.length)} from what the gateway serves`]
    : [];

function changeVerdict(plan: PlanDocument, still: string): string {
  const of = plan.targets.length === 0 ? `the fleet ${plan.fleet}` : scopeText(plan);
  const matches = plan.complete || (plan.targets.length > 0 && isSettled(plan));
  const outcome = matches ? `match ${knownAt(plan)}` : `come closer to ${revisionText(plan.revision)}`;
  return `With these changes ${of} would ${outcome}${still}.`;
}

function idleVerdict(plan: PlanDocument, still: string): string {
  const at = revisionText(plan.revision);
  if (plan.declaration.changes.length > 0 && isSettled(plan)) return declaredVerdict(plan);
  if (plan.complete) return `No changes. The fleet matches ${knownAt(plan)}.`;
  if (plan.outside_targets > 0 && isSettled(plan))
    return `No changes to ${scopeText(plan)} at ${at}${still}.`;
  const isOnlyUnknown = plan.unplaced.length + plan.deferred.length === 0;
  return isOnlyUnknown
    ? `Nothing can be changed now, and whether the fleet matches ${at} is not known${still}.`
    : `Nothing can be changed now, and the fleet does not match ${at}${still}.`;
}

/** Nothing is loaded or unloaded, and yet something changes. */
function declaredVerdict(plan: PlanDocument): string {
  const { declaration } = plan;
  const count = differencesText(declaration.changes.length);
  const loaded =
    plan.outside_targets === 0
      ? `what is loaded matches ${knownAt(plan)}`
      : `${scopeText(plan)} matches ${knownAt(plan)}`;
  return declaration.compared_with === "gateway"
    ? `No model is loaded or unloaded: ${loaded}. The gateway serves something else: ${count}.`
    : `No model is loaded or unloaded: ${loaded}. ${count} from the base.`;
}

/** Which models a confined plan is about. */
const scopeText = ({ targets, excepted }: PlanDocument): string =>
  excepted === undefined ? targets.join(", ") : `everything but ${excepted.join(", ")}`;

/** A silent neuron may hold what nobody declares. */
function knownAt({ revision, neurons }: PlanDocument): string {
  const isWhole = neurons.every(({ reachable }) => reachable);
  return `${revisionText(revision)}${isWhole ? "" : ", as far as the neurons that answer can tell"}`;
}

/** "device 0", "devices 0 and 1". */
export const devicesText = (devices: readonly number[]): string =>
  `device${devices.length === 1 ? "" : "s"} ${devices.join(" and ")}`;

/** "~8.0 GiB": an estimate is marked as one. */
export function sizeText(change: PlanChange): string {
  if (change.vram_source === "unknown") return "size unknown";
  const approximately = change.vram_source === "measured" ? "" : "~";
  if (change.kind === "replace") {
    return `${formatMib(change.vram_before_mb)} -> ${approximately}${formatMib(change.vram_after_mb)}`;
  }
  const vramMb = change.kind === "load" ? change.vram_after_mb : change.vram_before_mb;
  return `${approximately}${formatMib(vramMb)}`;
}

const DURATION_SOURCE: Readonly<Record<PlanDuration["source"], string>> = {
  measured: "as measured",
  scaled: "by size, from other settings",
  neuron_rate: "by size, from this neuron's other loads",
  default_rate: "by size, a guess",
  unknown: "",
};

const secsText = (secs: number): string => formatDuration(secs * 1000);

/** How fast files come is not known before: the times of a plan are those of the loads alone. */
const fetches = ({ kind, download_bytes: bytes }: PlanChange): boolean => kind !== "unload" && bytes !== 0;

/** "about 19.4 s (by size, a guess), once 4.3 GiB are fetched"; only loads take a time worth telling. */
export function durationText(change: PlanChange): string {
  const time = loadTimeText(change.duration);
  if (!fetches(change)) return time;
  const { download_bytes: bytes } = change;
  return bytes === null ? `${time}, fetching not counted` : `${time}, once ${formatBytes(bytes)} are fetched`;
}

function loadTimeText({ secs, source, confidence }: PlanDuration): string {
  if (secs === null) return "an unknown time";
  return source === "measured"
    ? `${secsText(secs)} (as measured ${confidence === "high" ? "here" : "on another neuron"})`
    : `about ${secsText(secs)} (${DURATION_SOURCE[source]})`;
}

/** "Qwen/Qwen3-8B is down about 38.0 s: " and its reason. */
export function downtimeText({ model_id, downtime }: PlanChange, plan: PlanDocument): string {
  return downtime === null ? "" : `${model_id} is down ${downSpan(downtime, plan)}: ${downtime.reason}`;
}

/** A file that is fetched meanwhile, for this model or for one before it, makes it longer. */
function downSpan({ secs, ends }: NonNullable<PlanChange["downtime"]>, { changes }: PlanDocument): string {
  if (!ends) return "from then on";
  if (secs === null) return "for an unknown time";
  return changes.some(fetches) ? `at least ${secsText(secs)}` : `about ${secsText(secs)}`;
}

/** Who is working on the copy now; empty when nobody is or nobody says. */
export function requestsText({ requests }: PlanChange): string {
  if (requests === null) return "";
  const parts: string[] = [];
  if (requests.in_flight > 0) parts.push(`${requests.in_flight} in flight`);
  if (requests.queued > 0) parts.push(`${requests.queued} waiting`);
  if (requests.per_minute !== null && requests.per_minute > 0)
    parts.push(`${Number(requests.per_minute.toFixed(1))} a minute`);
  return parts.length === 0 ? "" : `requests: ${parts.join(", ")}`;
}

/** Of so few changes the rows say all: no waves, no confidence, no critical path. */
export const FEW_CHANGES = 2;

/** "Time: about 2 m 10 s in 3 waves." */
export function scheduleText({ schedule, changes }: PlanDocument): string {
  if (changes.length === 0) return "";
  const { predicted_secs: secs, unpredicted_steps: unknown, waves } = schedule;
  const isPlain = changes.length <= FEW_CHANGES;
  const steps = `${waves} wave${waves === 1 ? "" : "s"}`;
  if (secs === null) return isPlain ? "Time: not known." : `Time: not known; ${steps}.`;
  const isWhole = !changes.some(fetches);
  const bound = unknown === 0 && isWhole ? "about" : "at least";
  const open = unknown === 0 ? "" : `, and ${unknown} step${unknown === 1 ? "" : "s"} of unknown length`;
  const rest = isWhole ? open : `${open}, fetching not counted`;
  if (isPlain) return `Time: ${bound} ${secsText(secs)}${rest}.`;
  return `Time: ${bound} ${secsText(secs)} in ${steps}${rest} (confidence: ${schedule.confidence}).`;
}

/** "Downtime: none." */
export function downtimeSummary(plan: PlanDocument): string {
  if (plan.changes.length === 0) return "";
  const each = plan.changes.flatMap(({ model_id, downtime }) =>
    downtime === null ? [] : [`${model_id} ${downSpan(downtime, plan)}`],
  );
  if (each.length === 0) return "Downtime: none.";
  const rest = each.length - MOST_DOWNTIMES;
  return `Downtime: ${each.slice(0, MOST_DOWNTIMES).join(", ")}${rest > 0 ? ` and ${rest} more` : ""}.`;
}

/** The others stand beside their changes. */
const MOST_DOWNTIMES = 20;

/** What apply will not do without being told to. */
export function guardLines({ unload_guard: guard, changes }: PlanDocument): string[] {
  const held = changes.filter((change) => change.protected && change.kind !== "load").length;
  const copies = `${countOf(held, "protected copy is", "protected copies are")} taken down`;
  const protection = held === 0 ? "" : `Guard: ${copies}; apply needs --allow-protected.`;
  return [massText(guard), protection].filter((text) => text !== "");
}

function massText(guard: PlanDocument["unload_guard"]): string {
  if (!guard.exceeded) return "";
  return `Guard: ${guard.copies_lost} of ${guard.copies_loaded} loaded copies (${guard.percent} %) go without coming back, and max_unload_percent is ${guard.limit_percent}; apply needs --allow-mass-unload ${guard.copies_lost}.`;
}

/** The steps that make the duration what it is; empty where that is one step, or all there are. */
export function criticalPathText({ schedule, changes }: PlanDocument): string {
  const { critical_path: path } = schedule;
  if (path.length < 2 || path.length === changes.length || changes.length <= FEW_CHANGES) return "";
  const shown = path.slice(0, MOST_OF_PATH);
  const rest = path.length - shown.length;
  return `Critical path: ${shown.join(", then ")}${rest === 0 ? "" : `, then ${rest} more`}.`;
}

const MOST_OF_PATH = 6;

/** "Placement: optimal, proved by exact search." */
export function gapText(plan: PlanDocument): string {
  const { placement, unplaced, unknown } = plan;
  const { status, gap_percent: percent, engine, placed, bound } = placement;
  const isNothing = plan.assignments.length + unplaced.length + unknown.length === 0;
  if (isNothing || !isSeen(plan)) return "";
  if (status === "optimal" && unplaced.length + unknown.length === 0)
    return `Placement: every declared copy has a place${assumedText(plan)}.`;
  if (status === "optimal" && engine === "heuristic")
    return "Placement: every copy that was looked for has a place.";
  if (status === "optimal") return `Placement: optimal, proved by ${PROOF[engine] ?? engine}.`;
  if (status === "within" && percent !== null) {
    const [could, doing] = COUNTED[placement.counts];
    return `Placement: at most ${bound ?? placed} ${could}, and ${placed} ${doing} (within ${Number(percent.toFixed(2))} % of the best possible, by ${engine}). \`--prove\` looks further.`;
  }
  return `Placement: how far from the best possible is not known (${engine}).`;
}

/** A copy of unknown size is placed where anything is free: whether it fits only its load will tell. */
function assumedText({ changes }: PlanDocument): string {
  const models = new Set(
    changes.flatMap(({ model_id, kind, vram_source }) =>
      kind !== "unload" && vram_source === "unknown" ? [model_id] : [],
    ),
  );
  if (models.size === 0) return "";
  const names = [...models].slice(0, MOST_OF_PATH).join(", ");
  const rest = models.size > MOST_OF_PATH ? ` and ${models.size - MOST_OF_PATH} more` : "";
  return `, if ${names}${rest} ${models.size === 1 ? "fits" : "fit"}: nothing tells how much memory ${models.size === 1 ? "it takes" : "they take"} (\`vram_mb\` would)`;
}

const COUNTED = {
  loaded: ["loaded copies could keep their place", "do"],
  models: ["models could have a copy", "have one"],
  copies: ["copies could have a place", "have one"],
} as const;

const PROOF: Readonly<Record<string, string>> = {
  "heuristic + pattern bound": "an upper bound that it meets",
};

/** What the death of each neuron would cost; one line when none costs anything. */
export function survivalLines({ survival }: PlanDocument): string[] {
  if (survival.neurons === null) return survival.remark === null ? [] : [survival.remark];
  if (survival.neurons.length === 0) return [];
  const lines = survival.neurons.flatMap(({ neuron, lost, reduced, reloaded }) => {
    const parts = [
      lost.length === 0 ? "" : `${lost.join(", ")} would be lost`,
      reduced.length === 0 ? "" : `${reduced.join(", ")} would keep fewer copies`,
      reloaded.length === 0 ? "" : `${reloaded.join(", ")} would be down until loaded elsewhere`,
    ].filter((part) => part !== "");
    return parts.length === 0 ? [] : [`${neuron}: ${parts.join("; ")}`];
  });
  return lines.length === 0
    ? ["whichever it is, every declared model goes on serving, and every copy finds another place"]
    : lines;
}

/** What has to be fetched, and the room for it; empty when nothing is fetched. */
export function downloadLines(plan: PlanDocument): string[] {
  const loading = plan.changes.filter(({ kind }) => kind !== "unload");
  const byNeuron = Map.groupBy(loading, ({ neuron }) => neuron);
  return plan.neurons.flatMap(({ name, disk_free_bytes: free }) => {
    const loads = byNeuron.get(name) ?? [];
    const unknown = loads.filter((change) => change.download_bytes === null);
    const bytes = loads.reduce((total, change) => total + (change.download_bytes ?? 0), 0);
    if (bytes === 0 && unknown.length === 0) return [];
    const known = bytes === 0 ? "" : `${formatBytes(bytes)} to download`;
    const rest =
      unknown.length === 0
        ? ""
        : `${unknown.map(({ model_id }) => model_id).join(", ")}: size of the download is not known`;
    const room = free === null ? "free disk space is not known" : `${formatBytes(free)} free`;
    return [`${name}: ${[known, rest, room].filter((part) => part !== "").join("; ")}`];
  });
}

/** "Requests a minute: averages over 24 h 00 m." */
export function trafficText({ traffic, changes }: PlanDocument): string {
  const isShown = changes.some(({ requests }) => (requests?.per_minute ?? 0) > 0);
  return traffic === null || !isShown
    ? ""
    : `Requests a minute: averages over ${secsText(traffic.window_secs)}.`;
}

/** Where the observation comes from, when it is not the fleet itself. */
export function observationText({ observation }: PlanDocument): string {
  if (observation.source === "neurons") return "";
  const at = new Date(observation.taken_at_ms).toISOString();
  return `Planned on a snapshot of ${at} (${observation.digest.slice(0, 12)}); the fleet itself was not asked.`;
}

/** Rows that the base revision would make too, and what this branch spares. */
export function comparisonLines(plan: PlanDocument): string[] {
  const { comparison } = plan;
  if (comparison === null) return [];
  const pending = plan.changes.filter((change) => change.caused_by === "pending").length;
  const own = plan.changes.length - pending;
  const at = revisionText(comparison.revision);
  return [
    ...(plan.changes.length === 0
      ? []
      : [
          `${own} of ${plan.changes.length} changes come from this branch; ${pending} are pending at ${at} too`,
        ]),
    ...comparison.avoided.map(({ id, detail }) => `no longer needed: ${id} (${detail})`),
    ...comparison.newly_unplaced.map((modelId) => `cannot be placed any more: ${modelId}`),
  ];
}
