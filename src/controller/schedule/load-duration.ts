import type { PlanDuration } from "../../protocol/plan-document.ts";
import type { ResidentModel } from "../../protocol/neuron-api.ts";
import { reachableNeurons, type ObservedFleet } from "../observe/observed-fleet.ts";

/** What a load is about, as far as its duration depends on it. */
export interface LoadFacts {
  readonly modelId: string;
  readonly specHash: string;
  readonly neuron: string;
  /** Undefined when its size is not known. */
  readonly vramMb: number | undefined;
}

/** A solid-state disk that is not the newest, and the time that every load takes beside reading. */
const DEFAULT_MIB_PER_SEC = 500;
const FIXED_SECS = 3;
/** Smaller or quicker loads say nothing about the disk. */
const TELLING_MIB = 512;
const TELLING_MS = 1000;

const UNKNOWN: PlanDuration = { secs: null, source: "unknown", confidence: "none" };

interface TimedLoad {
  readonly neuron: string;
  readonly model: ResidentModel;
  readonly secs: number;
}

/** Loads whose duration is known, found by model and by neuron. */
export interface LoadHistory {
  readonly ofModel: ReadonlyMap<string, readonly TimedLoad[]>;
  readonly onNeuron: ReadonlyMap<string, readonly TimedLoad[]>;
}

export function loadHistory(observed: ObservedFleet): LoadHistory {
  const loads = reachableNeurons(observed).flatMap(({ name: neuron, models }) =>
    models.flatMap((model) =>
      model.load_duration_ms === null ? [] : [{ neuron, model, secs: model.load_duration_ms / 1000 }],
    ),
  );
  return {
    ofModel: Map.groupBy(loads, ({ model }) => model.id),
    onNeuron: Map.groupBy(loads, ({ neuron }) => neuron),
  };
}

/** How long a load takes: by loads of the same model, else by size and what the neuron's disk did before. */
export function predictLoad(facts: LoadFacts, history: LoadHistory): PlanDuration {
  return (
    sameModelLoad(facts, history.ofModel.get(facts.modelId) ?? []) ??
    neuronRate(facts, history.onNeuron.get(facts.neuron) ?? []) ??
    defaultRate(facts) ??
    UNKNOWN
  );
}

/** An idle copy leaves within a second; a busy one may take as long as its requests do. */
export function predictUnload(busyRequests: number): PlanDuration {
  return { secs: busyRequests === 0 ? 1 : 10, source: "default_rate", confidence: "low" };
}

/** The slowest that was seen: a prediction that is met is worth more than one that flatters. */
function sameModelLoad(facts: LoadFacts, same: readonly TimedLoad[]): PlanDuration | undefined {
  const asDeclared = same.filter(({ model }) => model.spec_hash === facts.specHash);
  const here = asDeclared.filter(({ neuron }) => neuron === facts.neuron);
  const exact = here.length > 0 ? here : asDeclared;
  if (exact.length > 0) {
    const confidence = here.length > 0 ? "high" : "medium";
    return { secs: slowest(exact.map(({ secs }) => secs)), source: "measured", confidence };
  }
  const { vramMb } = facts;
  if (vramMb === undefined) return undefined;
  const telling = same.filter(isTelling);
  if (telling.length === 0) return undefined;
  const scaled = telling.map(({ secs, model }) => (secs * vramMb) / model.vram_used_mb);
  return { secs: slowest(scaled), source: "scaled", confidence: "low" };
}

function neuronRate(facts: LoadFacts, loads: readonly TimedLoad[]): PlanDuration | undefined {
  const telling = loads.filter(isTelling);
  if (telling.length === 0 || facts.vramMb === undefined) return undefined;
  const mib = telling.reduce((total, { model }) => total + model.vram_used_mb, 0);
  const secs = telling.reduce((total, load) => total + load.secs, 0);
  return { secs: round((facts.vramMb * secs) / mib), source: "neuron_rate", confidence: "low" };
}

function defaultRate({ vramMb }: LoadFacts): PlanDuration | undefined {
  if (vramMb === undefined) return undefined;
  const secs = round(FIXED_SECS + vramMb / DEFAULT_MIB_PER_SEC);
  return { secs, source: "default_rate", confidence: "low" };
}

const isTelling = ({ model, secs }: TimedLoad): boolean =>
  model.vram_used_mb >= TELLING_MIB && secs * 1000 >= TELLING_MS;

const slowest = (secs: readonly number[]): number => round(Math.max(...secs));
const round = (secs: number): number => Math.round(secs * 10) / 10;
