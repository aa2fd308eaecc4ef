import { present } from "../../core/present.ts";
import { isLoad, isReplace, type Draft, type ScheduledStep } from "./draft.ts";
import type { Duration } from "./load-duration.ts";

/*
 * When each step starts and ends, if every step takes as long as predicted. A neuron does one thing at a time (two
 * loads would share its disk and end no sooner), neurons work side by side up to a bound, and a step starts when all
 * that it depends on is done. Steps of unknown duration count as none, so the whole is then a lower bound and says so.
 */
export interface Timeline {
  /** Seconds at which each neuron is free again. */
  readonly laneEnd: Map<string, number>;
  /** Seconds at which each step is done. */
  readonly stepEnd: Map<string, number>;
}

export function earliestStart(timeline: Timeline, draft: Draft, dependsOn: readonly string[]): number {
  const ends = dependsOn.map((id) => present(timeline.stepEnd.get(id), "the end of step", id));
  return Math.max(timeline.laneEnd.get(draft.change.neuron) ?? 0, ...ends);
}

interface TimedStep {
  readonly step: ScheduledStep;
  readonly wave: number;
  readonly startSecs: number;
  readonly endSecs: number;
  /** The step whose end let this one start; undefined when it could start at once. */
  readonly heldBy: string | undefined;
}

/** A time without a ready copy of the model. */
export interface Downtime {
  /** Null when it cannot be predicted, or does not end. */
  readonly secs: number | null;
  /** False: no later change of this plan brings a copy back. */
  readonly ends: boolean;
  /** In words: what forbids loading the successor first. */
  readonly reason: string;
}

/** How long all steps take together. */
export interface Outlook {
  /** With neurons side by side; null when no step can be predicted. */
  readonly predictedSecs: number | null;
  /** Steps whose duration is not in that figure. */
  readonly unpredictedSteps: number;
  /** The least confidence among the steps of the critical path. */
  readonly confidence: Duration["confidence"];
  /** Ids of the steps that make the duration what it is, in order. */
  readonly criticalPath: readonly string[];
  readonly waves: number;
  /** Neurons changed at once, as predicted; each neuron loads one model at a time. */
  readonly parallelism: number;
}

export interface Forecast {
  readonly waves: ReadonlyMap<string, number>;
  readonly downtimes: ReadonlyMap<string, Downtime>;
  readonly outlook: Outlook;
}

export interface ForecastInput {
  readonly steps: readonly ScheduledStep[];
  /** Most neurons changed at once. */
  readonly parallelism: number;
  /** Copies that serve before the plan: model id to neurons. */
  readonly serving: ReadonlyMap<string, readonly string[]>;
  /** Models that are to be served: only for these is the lack of a copy a downtime. */
  readonly declared: ReadonlySet<string>;
}

export function forecast(input: ForecastInput): Forecast {
  const timed = timeSteps(input.steps, input.parallelism);
  return {
    waves: new Map(timed.map(({ step, wave }) => [idOf(step), wave])),
    downtimes: downtimes(timed, input),
    outlook: summarize(timed, input.parallelism),
  };
}

const idOf = (step: ScheduledStep): string => step.draft.change.id;

function timeSteps(steps: readonly ScheduledStep[], parallelism: number): TimedStep[] {
  const timed = new Map<string, TimedStep>();
  const lastOnNeuron = new Map<string, TimedStep>();
  const slots: (TimedStep | undefined)[] = Array.from({ length: parallelism }, () => undefined);
  for (const step of steps) {
    const { change } = step.draft;
    const slot = earliestSlot(slots);
    const last = lastOnNeuron.get(change.neuron);
    const before = step.dependsOn.map((id) => present(timed.get(id), "the step before", id));
    if (last !== undefined) before.unshift(last);
    const holder = latest([...before, slots[slot]].filter((earlier) => earlier !== undefined));
    const startSecs = holder?.endSecs ?? 0;
    const entry: TimedStep = {
      step,
      wave: 1 + Math.max(0, ...before.map(({ wave }) => wave)),
      startSecs,
      endSecs: startSecs + (change.duration.secs ?? 0),
      heldBy: holder === undefined ? undefined : idOf(holder.step),
    };
    timed.set(change.id, entry);
    lastOnNeuron.set(change.neuron, entry);
    slots[slot] = entry;
  }
  return [...timed.values()];
}

/** Of those that end last, the first. */
const latest = (steps: readonly TimedStep[]): TimedStep | undefined =>
  steps.reduce<TimedStep | undefined>(
    (last, step) => (last === undefined || step.endSecs > last.endSecs ? step : last),
    undefined,
  );

function earliestSlot(slots: readonly (TimedStep | undefined)[]): number {
  let best = 0;
  for (const [index, slot] of slots.entries()) {
    if ((slot?.endSecs ?? 0) < (slots[best]?.endSecs ?? 0)) best = index;
  }
  return best;
}

const CONFIDENCE = ["none", "low", "medium", "high"] as const;

function summarize(timed: readonly TimedStep[], parallelism: number): Outlook {
  const byId = new Map(timed.map((entry) => [idOf(entry.step), entry]));
  const last = latest(timed);
  const path: TimedStep[] = [];
  for (let at = last; at !== undefined; at = at.heldBy === undefined ? undefined : byId.get(at.heldBy)) {
    path.unshift(at);
  }
  const unpredicted = timed.filter(({ step }) => step.draft.change.duration.secs === null).length;
  const ranks = path.map(({ step }) => CONFIDENCE.indexOf(step.draft.change.duration.confidence));
  return {
    predictedSecs: timed.length > 0 && unpredicted === timed.length ? null : roundSecs(last?.endSecs ?? 0),
    unpredictedSteps: unpredicted,
    confidence: timed.length === 0 ? "high" : present(CONFIDENCE[Math.min(...ranks)], "the confidence"),
    criticalPath: path.map(({ step }) => idOf(step)),
    waves: Math.max(0, ...timed.map(({ wave }) => wave)),
    parallelism,
  };
}

/** A time during which a copy serves; the order of steps decides between two that end at the same moment. */
interface ServingSpan {
  readonly neuron: string;
  readonly fromSecs: number;
  readonly fromKnown: boolean;
  /** The step that loaded it; undefined: it served before the plan. */
  readonly loadedBy: string | undefined;
  readonly fromOrder: number;
  toSecs: number;
  toOrder: number;
}

function downtimes(timed: readonly TimedStep[], input: ForecastInput): Map<string, Downtime> {
  const spans = servingSpans(timed, input.serving);
  const found = new Map<string, Downtime>();
  for (const [order, { step, startSecs }] of timed.entries()) {
    const { change } = step.draft;
    if (isLoad(step.draft) || !input.declared.has(change.modelId)) continue;
    const others = spans.get(change.modelId) ?? [];
    const serves = others.some(
      (span) =>
        span.fromSecs <= startSecs &&
        (span.toSecs > startSecs || (span.toSecs === startSecs && span.toOrder > order)),
    );
    const wasServing = others.some(
      (span) => span.neuron === change.neuron && span.toOrder === order && span.fromSecs <= startSecs,
    );
    if (!wasServing) continue;
    if (serves) {
      const doubt = doubtfulCover(step, order, others);
      if (doubt !== undefined) found.set(change.id, doubt);
      continue;
    }
    const next = others
      .filter((span) => span.toOrder > order && span.fromSecs >= startSecs)
      .sort((left, right) => left.fromSecs - right.fromSecs)[0];
    const secs = next?.fromKnown === true ? roundSecs(next.fromSecs - startSecs) : null;
    const ends = next !== undefined;
    found.set(change.id, { secs, ends, reason: downtimeReason(step, ends) });
  }
  return found;
}

/**
 * A copy that goes before its successor is ready, though by the predicted times another one is there first: neurons
 * overtake each other, and nothing makes it wait for that one.
 */
function doubtfulCover(
  { interruption, dependsOn, draft }: ScheduledStep,
  order: number,
  spans: readonly ServingSpan[],
): Downtime | undefined {
  if (interruption === undefined) return undefined;
  const isSure = ({ neuron, loadedBy, toOrder }: ServingSpan): boolean =>
    neuron !== draft.change.neuron &&
    toOrder === Number.POSITIVE_INFINITY &&
    (loadedBy === undefined || dependsOn.includes(loadedBy));
  if (spans.some(isSure)) return undefined;
  const ends = spans.some(({ fromOrder }) => fromOrder > order);
  return {
    secs: null,
    ends,
    reason: `${interruption}; its successor should be ready before, and is not waited for`,
  };
}

function servingSpans(
  timed: readonly TimedStep[],
  serving: ForecastInput["serving"],
): Map<string, ServingSpan[]> {
  const spans = new Map<string, ServingSpan[]>();
  const open = (modelId: string, span: ServingSpan): void => {
    spans.set(modelId, [...(spans.get(modelId) ?? []), span]);
  };
  const forever = { toSecs: Number.POSITIVE_INFINITY, toOrder: Number.POSITIVE_INFINITY };
  const always = { fromSecs: -1, fromKnown: true, loadedBy: undefined, fromOrder: -1, ...forever };
  for (const [modelId, neurons] of serving) {
    for (const neuron of neurons) open(modelId, { neuron, ...always });
  }
  for (const [order, { step, startSecs, endSecs }] of timed.entries()) {
    const { change } = step.draft;
    if (!isLoad(step.draft)) {
      const span = spans
        .get(change.modelId)
        ?.find(({ neuron, toOrder }) => neuron === change.neuron && toOrder === Number.POSITIVE_INFINITY);
      if (span !== undefined) {
        span.toSecs = startSecs;
        span.toOrder = order;
      }
    }
    if (change.kind !== "unload") {
      const fromKnown = change.duration.secs !== null;
      const from = { fromSecs: endSecs, fromKnown, loadedBy: change.id, fromOrder: order };
      open(change.modelId, { neuron: change.neuron, ...from, ...forever });
    }
  }
  return spans;
}

function downtimeReason(step: ScheduledStep, comesBack: boolean): string {
  if (step.interruption !== undefined) return step.interruption;
  if (isReplace(step.draft)) return "a neuron holds one copy of a model, and no other copy serves meanwhile";
  return comesBack
    ? "it comes back on the same neuron, which holds one copy of a model"
    : "no place is left for a copy";
}

const roundSecs = (secs: number): number => Math.round(secs * 10) / 10;
