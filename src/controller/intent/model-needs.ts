import type { ModelBlock } from "../../fleet/schema/fleet-schema.ts";
import type { ModelFact, ResidentModel } from "../../protocol/neuron-api.ts";
import type { SizeSource } from "../observe/device-memory.ts";
import type { ReachableNeuron } from "../observe/observed-fleet.ts";

/** The memory of one copy, and how well it is known. */
export interface ModelNeed {
  /** Undefined when nothing tells: the model is then placed where anything is free. */
  readonly mib: number | undefined;
  readonly source: SizeSource;
  readonly confidence: "high" | "medium" | "low" | "none";
  /** Bytes of cache per token of context, all slots together; known from the file's header only. */
  readonly cacheBytesPerToken: number | undefined;
}

/** Everything that the fleet has told about memory, by model. */
export interface KnownSizes {
  readonly residents: ReadonlyMap<string, readonly ResidentModel[]>;
  readonly facts: ReadonlyMap<string, readonly ModelFact[]>;
}

export function knownSizes(neurons: readonly ReachableNeuron[]): KnownSizes {
  const residents = neurons.flatMap(({ models }) => models).filter(({ status }) => status !== "unloading");
  return { residents: Map.groupBy(residents, ({ id }) => id), facts: knownFacts(neurons) };
}

const factsOf = (some: readonly ReachableNeuron[]) =>
  Map.groupBy(
    some.flatMap(({ discovery }) => discovery.facts ?? []),
    ({ model_id }) => model_id,
  );

const hasGpu = ({ discovery }: ReachableNeuron): boolean =>
  discovery.devices.some(({ kind }) => kind !== "cpu");

/**
 * Where machines with a GPU tell of a model, those without are not heard: a processor keeps weights twice, as they are
 * and packed, and no GPU must be thought too small for that.
 */
function knownFacts(neurons: readonly ReachableNeuron[]): KnownSizes["facts"] {
  const withGpu = factsOf(neurons.filter(hasGpu));
  const without = factsOf(neurons.filter((neuron) => !hasGpu(neuron)));
  return new Map([...without, ...withGpu]);
}

const CONFIDENCE: Readonly<Record<SizeSource, ModelNeed["confidence"]>> = {
  measured: "high",
  metadata: "medium",
  declared: "medium",
  similar: "low",
  unknown: "none",
};

/**
 * What a copy takes: as measured with these settings, else as the header of its file lets expect, else as declared,
 * else as large as a copy with other settings. Where neurons differ the largest figure counts, since the copy may go
 * to any of them.
 */
export function modelNeed(block: ModelBlock, specHash: string, known: KnownSizes): ModelNeed {
  const residents = known.residents.get(block.id) ?? [];
  const facts = (known.facts.get(block.id) ?? []).filter((fact) => fact.spec_hash === specHash);
  const measured = [
    ...residents.filter((copy) => copy.spec_hash === specHash && copy.vram_measured).map(vramOf),
    ...facts.filter((fact) => fact.source === "measured").map((fact) => fact.vram_mb),
  ];
  const metadata = facts.filter((fact) => fact.source === "metadata").map((fact) => fact.vram_mb);
  const declared = block.vram_mb === undefined ? [] : [block.vram_mb];
  const candidates: readonly (readonly [SizeSource, readonly number[]])[] = [
    ["measured", measured],
    ["metadata", metadata],
    ["declared", declared],
    ["similar", residents.map(vramOf)],
  ];
  const [source, figures] = candidates.find(([, values]) => values.length > 0) ?? ["unknown", []];
  return {
    mib: figures.length === 0 ? undefined : Math.max(...figures),
    source,
    confidence: CONFIDENCE[source],
    cacheBytesPerToken: largest(facts.flatMap((fact) => fact.cache_bytes_per_token ?? [])),
  };
}

const vramOf = (model: ResidentModel): number => model.vram_used_mb;

const largest = (values: readonly number[]): number | undefined =>
  values.length === 0 ? undefined : Math.max(...values);
