import type { Fleet, ModelBlock } from "../../fleet/schema/fleet-schema.ts";
import { MIB_BYTES } from "../../core/quantities.ts";
import { modelSpecFromBlock } from "../../protocol/model-spec.ts";
import type { ModelFact } from "../../protocol/neuron-api.ts";
import { specHash } from "../../protocol/spec-hash.ts";
import { foreignMemory, residentShares, type Shares } from "../observe/device-memory.ts";
import type { ObservedFleet, ReachableNeuron } from "../observe/observed-fleet.ts";
import { copiesShort } from "../place/explain/refusals.ts";
import type { Placement, Remedy, UnplacedExplanation } from "../place/board/placement.ts";
import { planRounds } from "./rounds.ts";

/*
 * Placement proposes remedies by looking at one neuron at a time. Whether one of them helps is known only once the whole
 * fleet is planned with that line changed: the copy that a lowered `replicas` frees may be another than the one in the
 * way. So each is tried, what does not help is not offered, and what it costs others is said.
 */

/** Neurons times declared copies, summed over all trials of a plan: hundreds for a small fleet, none for a huge one; about two seconds. */
const WORK_PER_PLAN = 15_000;

/** As far as a trial says. */
type Outcome = Pick<Placement, "explanations" | "unknown" | "assignments">;

/** Work on a machine that only the neuron of the remedy names: it cannot say that the copy then goes elsewhere. */
const AT_ITS_NEURON: ReadonlySet<Remedy["kind"]> = new Set(["unload", "foreign_memory"]);

export class RemedyTrials {
  readonly #fleet: Fleet;
  readonly #observed: ObservedFleet;
  readonly #workPerTrial: number;
  #workLeft = WORK_PER_PLAN;

  constructor(fleet: Fleet, observed: ObservedFleet) {
    this.#fleet = fleet;
    this.#observed = observed;
    const copies = fleet.models.reduce((total, { replicas }) => total + replicas, 0);
    this.#workPerTrial = Math.max(1, fleet.neurons.length * copies);
  }

  /** The same placement, with those remedies only that were seen to help or could not be tried. */
  proven<Found extends Placement>(placement: Found): Found {
    return { ...placement, explanations: this.explained(placement.explanations, placement) };
  }

  /** The first remedy of each model is tried before the second of any. */
  explained(explanations: readonly UnplacedExplanation[], before: Outcome): UnplacedExplanation[] {
    const results = new Map<Remedy, Remedy | undefined>();
    const longest = Math.max(0, ...explanations.map(({ remedies }) => remedies.length));
    for (let rank = 0; rank < longest; rank += 1) {
      for (const explanation of explanations) {
        const remedy = explanation.remedies[rank];
        if (remedy !== undefined) results.set(remedy, this.#try(remedy, explanation, before));
      }
    }
    return explanations.map((explanation) => ({
      ...explanation,
      remedies: explanation.remedies.flatMap((remedy) => results.get(remedy) ?? []),
    }));
  }

  /** Undefined when it was tried and does not help, or not where it says. */
  #try(remedy: Remedy, explanation: UnplacedExplanation, before: Outcome): Remedy | undefined {
    const edited = editedWorld(remedy, explanation, { fleet: this.#fleet, observed: this.#observed });
    if (edited === undefined || this.#workLeft < this.#workPerTrial) return remedy;
    this.#workLeft -= this.#workPerTrial;
    const after = planRounds(edited.fleet, edited.observed, { nameOnly: true }).placement;
    const { modelId } = explanation;
    if (openOf(after, modelId) >= openOf(before, modelId)) return undefined;
    const had = placesOf(before, modelId);
    const gained = placesOf(after, modelId).filter((neuron) => !had.includes(neuron));
    const isThere = remedy.neuron === null || gained.length === 0 || gained.includes(remedy.neuron);
    if (!isThere && AT_ITS_NEURON.has(remedy.kind)) return undefined;
    const open = [...after.explanations, ...after.unknown].map((row) => row.modelId);
    const losers = new Set(
      open.filter((other) => other !== modelId && openOf(after, other) > openOf(before, other)),
    );
    return {
      ...remedy,
      tried: true,
      neuron: isThere ? remedy.neuron : (gained[0] ?? remedy.neuron),
      costs: [...losers].toSorted(),
    };
  }
}

/**
 * Copies without a place that is seen. Whoever loses its place while a neuron is silent is not missing for sure, since
 * that one may hold a copy; but nobody may call that help, or leave it out of the price.
 */
function openOf({ explanations, unknown }: Outcome, modelId: string): number {
  const unplaced = explanations.find((row) => row.modelId === modelId);
  const inDoubt = unknown.find((row) => row.modelId === modelId)?.replicas ?? 0;
  return inDoubt + (unplaced === undefined ? 0 : copiesShort(unplaced));
}

const placesOf = ({ assignments }: Outcome, modelId: string): string[] =>
  assignments.filter((copy) => copy.modelId === modelId).map(({ neuron }) => neuron);

interface World {
  readonly fleet: Fleet;
  readonly observed: ObservedFleet;
}

/** The world with one line of the files changed; undefined when the remedy is no line, or needs no trial. */
function editedWorld(remedy: Remedy, { need }: UnplacedExplanation, world: World): World | undefined {
  const { kind, line, to } = remedy;
  if (line === null) return seenWorld(remedy, world);
  if (kind === "replicas") return undefined;
  const isFlag = kind === "drain" || kind === "protect";
  const value = kind === "pinned_on" ? (JSON.parse(to) as unknown) : isFlag ? false : Number(to);
  const { fleet } = world;
  if (line.table === "neurons") {
    const neurons = fleet.neurons.map((block) =>
      block.name === line.id ? { ...block, [line.key]: value } : block,
    );
    return { ...world, fleet: { ...fleet, neurons } };
  }
  const models = fleet.models.map((block) =>
    block.id === line.id ? { ...block, [line.key]: value } : block,
  );
  const edited = { ...world, fleet: { ...fleet, models } };
  const block = models.find(({ id }) => id === line.id);
  return kind === "context" && block !== undefined
    ? withExpectedSize(edited, block, { remedy, need })
    : edited;
}

/** The world with something done to a neuron; undefined when nobody can tell what comes of it. */
function seenWorld({ kind, neuron: name, to }: Remedy, world: World): World | undefined {
  const change: ((neuron: ReachableNeuron) => ReachableNeuron) | undefined =
    kind === "resume"
      ? (neuron) => ({ ...neuron, health: { ...neuron.health, status: "ok" } })
      : kind === "unload"
        ? (neuron) => withoutModel(neuron, to)
        : kind === "foreign_memory"
          ? (neuron) => withLessInUse(neuron, foreignMemory(neuron))
          : undefined;
  if (change === undefined) return undefined;
  const neurons = world.observed.neurons.map((neuron) =>
    neuron.reachable && neuron.name === name ? change(neuron) : neuron,
  );
  return { ...world, observed: { ...world.observed, neurons } };
}

function withoutModel(neuron: ReachableNeuron, modelId: string): ReachableNeuron {
  const freed = residentShares(neuron).get(modelId) ?? new Map<number, number>();
  const models = neuron.models.filter(({ id }) => id !== modelId);
  return { ...withLessInUse(neuron, freed), models };
}

function withLessInUse(neuron: ReachableNeuron, freed: Shares): ReachableNeuron {
  const devices = neuron.health.devices.map((reading) => {
    const mib = Math.min(reading.vram_used_mb, freed.get(reading.index) ?? 0);
    return {
      ...reading,
      vram_used_mb: reading.vram_used_mb - mib,
      vram_free_mb: reading.vram_free_mb + mib,
    };
  });
  return { ...neuron, health: { ...neuron.health, devices } };
}

/** A shorter context makes other settings, of which nothing was measured: its size follows from the cache's. */
function withExpectedSize(
  world: World,
  block: ModelBlock,
  { remedy, need }: { readonly remedy: Remedy; readonly need: UnplacedExplanation["need"] },
): World | undefined {
  if (need.mib === undefined || need.cacheBytesPerToken === undefined) return undefined;
  const tokens = Number(remedy.from) - Number(remedy.to);
  const fact: ModelFact = {
    model_id: block.id,
    spec_hash: specHash(modelSpecFromBlock(block)),
    source: "metadata",
    vram_mb: Math.max(0, need.mib - Math.floor((tokens * need.cacheBytesPerToken) / MIB_BYTES)),
    cache_bytes_per_token: need.cacheBytesPerToken,
  };
  const neurons = world.observed.neurons.map((neuron) =>
    neuron.reachable
      ? { ...neuron, discovery: { ...neuron.discovery, facts: [...(neuron.discovery.facts ?? []), fact] } }
      : neuron,
  );
  return { ...world, observed: { ...world.observed, neurons } };
}
