import { onceFor } from "../../core/once-for.ts";
import type { ModelFact, ResidentModel } from "../../protocol/neuron-api.ts";
import type { StepRecord } from "../../protocol/refs/apply-record.ts";
import { reachableNeurons, type ObservedFleet } from "../observe/observed-fleet.ts";

/** What lets a duration be guessed. */
type DurationSource =
  /** The same step before: its neuron measured it, or an apply did. */
  | "measured"
  /** The same model with other settings, by size. */
  | "scaled"
  /** MiB per second of other loads on this neuron. */
  | "neuron_rate"
  /** A rate that most disks reach. */
  | "default_rate"
  /** Nothing. */
  | "unknown";

/** How long a change takes, and how well that is known. */
export interface Duration {
  /** Null when nothing allows a guess. */
  readonly secs: number | null;
  readonly source: DurationSource;
  readonly confidence: "high" | "medium" | "low" | "none";
}

/** What a load is about, as far as its duration depends on it. */
export interface LoadFacts {
  readonly modelId: string;
  readonly specHash: string;
  readonly neuron: string;
  /** Undefined when its size is not known. */
  readonly mib: number | undefined;
}

/** A solid-state disk that is not the newest, and the time that every load takes beside reading. */
const DEFAULT_MIB_PER_SEC = 500;
const FIXED_SECS = 3;
/** Smaller or quicker loads say nothing about the disk. */
const TELLING_MIB = 512;
const TELLING_MS = 1000;

const UNKNOWN: Duration = { secs: null, source: "unknown", confidence: "none" };

interface TimedLoad {
  readonly neuron: string;
  readonly modelId: string;
  readonly specHash: string;
  readonly vramMib: number;
  readonly secs: number;
}

/** Loads whose duration is known, found by model and by neuron. */
export interface LoadHistory {
  readonly ofModel: ReadonlyMap<string, readonly TimedLoad[]>;
  readonly onNeuron: ReadonlyMap<string, readonly TimedLoad[]>;
  /** What neurons themselves expect of loads that they have not seen. */
  readonly expected: readonly TimedLoad[];
  /** What unloads took of late, by model. */
  readonly unloads: ReadonlyMap<string, readonly TimedUnload[]>;
}

interface TimedUnload {
  readonly neuron: string;
  readonly secs: number;
}

/** Of the same step no more than so many count, so that what became faster is believed soon. */
const RECENT = 3;

export const loadHistory = onceFor((observed: ObservedFleet): LoadHistory => {
  const neurons = reachableNeurons(observed);
  const { recorded = [] } = observed;
  const measured = neurons.flatMap(({ name, models, discovery }) => [
    ...models.flatMap((model) => timedResident(name, model)),
    ...timedFacts(name, discovery.facts ?? [], "measured"),
  ]);
  const loads = [...measured, ...recordedLoads(recorded, measured)];
  return {
    unloads: Map.groupBy(recordedUnloads(recorded), ({ modelId }) => modelId),
    ofModel: Map.groupBy(loads, ({ modelId }) => modelId),
    onNeuron: Map.groupBy(loads, ({ neuron }) => neuron),
    expected: neurons.flatMap(({ name, discovery }) =>
      timedFacts(name, discovery.facts ?? [], "neuron_rate"),
    ),
  };
});

const timedResident = (neuron: string, model: ResidentModel): readonly TimedLoad[] =>
  model.load_duration_ms === null
    ? []
    : [
        {
          neuron,
          modelId: model.id,
          specHash: model.spec_hash,
          vramMib: model.vram_used_mb,
          secs: model.load_duration_ms / 1000,
        },
      ];

// oxlint-disable-next-line max-params -- whose, which, and of what kind
const timedFacts = (
  neuron: string,
  facts: readonly ModelFact[],
  kind: NonNullable<ModelFact["load_secs_source"]>,
): readonly TimedLoad[] =>
  facts.flatMap(({ model_id: modelId, spec_hash: specHash, vram_mb: vramMib, ...fact }) =>
    fact.load_secs === undefined || fact.load_secs_source !== kind
      ? []
      : [{ neuron, modelId, specHash, vramMib, secs: fact.load_secs }],
  );

const loadKey = ({ neuron, modelId, specHash }: Omit<TimedLoad, "vramMib" | "secs">): string =>
  JSON.stringify([neuron, modelId, specHash]);

/**
 * Loads of earlier applies that their neurons do not know any more, as after a new disk. One that had to fetch its file says
 * nothing of one that has it.
 */
function recordedLoads(recorded: readonly StepRecord[], measured: readonly TimedLoad[]): TimedLoad[] {
  const known = new Set(measured.map(loadKey));
  const loads = recorded.flatMap(({ kind, neuron, model_id: modelId, spec_hash, actual, predicted }) => {
    if (kind !== "load" || spec_hash === null || actual === null || actual.download_bytes > 0) return [];
    const vramMib = actual.vram_mb ?? predicted.vram_mb;
    return [{ neuron, modelId, specHash: spec_hash, vramMib, secs: actual.secs }];
  });
  return recent(loads, loadKey).filter((load) => !known.has(loadKey(load)));
}

function recordedUnloads(recorded: readonly StepRecord[]): (TimedUnload & { readonly modelId: string })[] {
  const unloads = recorded.flatMap(({ kind, neuron, model_id: modelId, actual }) =>
    kind === "unload" && actual !== null ? [{ neuron, modelId, secs: actual.secs }] : [],
  );
  return recent(unloads, ({ neuron, modelId }) => JSON.stringify([neuron, modelId]));
}

const recent = <Row>(rows: readonly Row[], keyOf: (row: Row) => string): Row[] =>
  [...Map.groupBy(rows, keyOf).values()].flatMap((same) => same.slice(0, RECENT));

/** How long a load takes: by loads of the same model, else by size and what the neuron's disk did before. */
export function predictLoad(facts: LoadFacts, history: LoadHistory): Duration {
  return (
    sameModelLoad(facts, history.ofModel.get(facts.modelId) ?? []) ??
    neuronsWord(facts, history.expected) ??
    neuronRate(facts, history.onNeuron.get(facts.neuron) ?? []) ??
    defaultRate(facts) ??
    UNKNOWN
  );
}

/** An idle copy leaves within a second; a busy one may take as long as its requests do. */
export const unloadSecs = (busyRequests: number): number => (busyRequests === 0 ? 1 : 10);

/** As it took of late; one that is busy now takes no less than busy ones do. */
export function predictUnload(
  { modelId, neuron }: { readonly modelId: string; readonly neuron: string },
  busyRequests: number,
  history?: LoadHistory,
): Duration {
  const seen = (history?.unloads.get(modelId) ?? []).filter((unload) => unload.neuron === neuron);
  const usual = unloadSecs(busyRequests);
  if (seen.length === 0) return { secs: usual, source: "default_rate", confidence: "low" };
  const secs = slowest(seen.map((unload) => unload.secs));
  return {
    secs: busyRequests === 0 ? secs : Math.max(secs, usual),
    source: "measured",
    confidence: "medium",
  };
}

/** The slowest that was seen: a prediction that is met is worth more than one that flatters. */
function sameModelLoad(facts: LoadFacts, same: readonly TimedLoad[]): Duration | undefined {
  const asDeclared = same.filter(({ specHash }) => specHash === facts.specHash);
  const here = asDeclared.filter(({ neuron }) => neuron === facts.neuron);
  const exact = here.length > 0 ? here : asDeclared;
  if (exact.length > 0) {
    const confidence = here.length > 0 ? "high" : "medium";
    return { secs: slowest(exact.map(({ secs }) => secs)), source: "measured", confidence };
  }
  const { mib } = facts;
  if (mib === undefined) return undefined;
  const telling = same.filter(isTelling);
  if (telling.length === 0) return undefined;
  const scaled = telling.map(({ secs, vramMib }) => (secs * mib) / vramMib);
  return { secs: slowest(scaled), source: "scaled", confidence: "low" };
}

/** The neuron knows the file and its own disk; what it measured of other files it says itself. */
function neuronsWord(facts: LoadFacts, expected: readonly TimedLoad[]): Duration | undefined {
  const here = expected.find(
    (load) =>
      load.neuron === facts.neuron && load.modelId === facts.modelId && load.specHash === facts.specHash,
  );
  return here === undefined ? undefined : { secs: here.secs, source: "neuron_rate", confidence: "low" };
}

function neuronRate(facts: LoadFacts, loads: readonly TimedLoad[]): Duration | undefined {
  const telling = loads.filter(isTelling);
  if (telling.length === 0 || facts.mib === undefined) return undefined;
  const loadedMib = telling.reduce((total, { vramMib }) => total + vramMib, 0);
  const secs = telling.reduce((total, load) => total + load.secs, 0);
  return { secs: round((facts.mib * secs) / loadedMib), source: "neuron_rate", confidence: "low" };
}

function defaultRate({ mib }: LoadFacts): Duration | undefined {
  if (mib === undefined) return undefined;
  const secs = round(FIXED_SECS + mib / DEFAULT_MIB_PER_SEC);
  return { secs, source: "default_rate", confidence: "low" };
}

const isTelling = ({ vramMib, secs }: TimedLoad): boolean =>
  vramMib >= TELLING_MIB && secs * 1000 >= TELLING_MS;

const slowest = (secs: readonly number[]): number => round(Math.max(...secs));
const round = (secs: number): number => Math.round(secs * 10) / 10;
