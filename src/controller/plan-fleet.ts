import type { Fleet } from "../fleet/fleet-schema.ts";
import {
  PLAN_FORMAT_VERSION,
  type PlanChange,
  type PlanDocument,
  type PlanNeuron,
  type PlanReason,
  type PlanRevision,
} from "../protocol/plan-document.ts";
import { desiredModels, type DesiredModel } from "./desired-models.ts";
import { foreignMemory, residentShares, sharesTotal, type Shares } from "./device-room.ts";
import type { ObservedFleet, ObservedNeuron, ReachableNeuron } from "./observed-fleet.ts";
import { orderChanges, type OrderedDraft } from "./order-changes.ts";
import { placeModels, type Arrival, type Placement } from "./placement.ts";
import { judgeCopies, type JudgedCopy } from "./present-copies.ts";

export interface PlanInput {
  readonly fleet: Fleet;
  readonly fleetDigest: string;
  readonly revision: PlanRevision;
  readonly observed: ObservedFleet;
}

/** Everything that differs between the fleet files and the fleet, as rows in an order that can be carried out. */
export function planFleet(input: PlanInput): PlanDocument {
  const { fleet, observed } = input;
  const desired = desiredModels(fleet, observed);
  const copies = judgeCopies(fleet, observed, desired);
  const placement = placeModels({ fleet, observed, desired, copies });
  const diff = new FleetDiff({ desired, copies, placement, observed });
  const drafts = diff.drafts();
  const changes = orderChanges(drafts, freeMemory(observed));
  return {
    format_version: PLAN_FORMAT_VERSION,
    fleet: fleet.fleet.name,
    revision: input.revision,
    fleet_digest: input.fleetDigest,
    created_at_ms: observed.observedAtMs,
    complete: placement.unplaced.length === 0 && placement.unknown.length === 0,
    neurons: observed.neurons.map((neuron) => planNeuron(neuron, drafts)),
    changes,
    unchanged: diff.unchanged,
    unplaced: [...placement.unplaced],
    unknown: [...placement.unknown],
    left_alone: leftAlone(copies),
  };
}

const keyOf = (modelId: string, neuron: string): string => `${modelId}@${neuron}`;

class FleetDiff {
  unchanged = 0;
  readonly #desired: ReadonlyMap<string, DesiredModel>;
  readonly #copies: readonly JudgedCopy[];
  readonly #placement: Placement;
  readonly #arrivals: Map<string, Arrival>;
  readonly #sharesByNeuron: ReadonlyMap<string, ReadonlyMap<string, Shares>>;
  readonly #drafts: OrderedDraft[] = [];

  constructor(parts: {
    readonly desired: ReadonlyMap<string, DesiredModel>;
    readonly copies: readonly JudgedCopy[];
    readonly placement: Placement;
    readonly observed: ObservedFleet;
  }) {
    this.#desired = parts.desired;
    this.#copies = parts.copies;
    this.#placement = parts.placement;
    this.#arrivals = new Map(
      parts.placement.arrivals.map((arrival) => [keyOf(arrival.modelId, arrival.neuron), arrival]),
    );
    this.#sharesByNeuron = new Map(
      parts.observed.neurons.map((neuron) => [
        neuron.name,
        neuron.reachable ? residentShares(neuron) : new Map<string, Shares>(),
      ]),
    );
  }

  drafts(): OrderedDraft[] {
    const departing: { copy: JudgedCopy; reason: PlanReason; detail: string }[] = [];
    for (const copy of this.#copies) {
      const departure = this.#judge(copy);
      if (departure !== undefined) departing.push({ copy, ...departure });
    }
    const moved = new Set(departing.map(({ copy }) => copy.resident.id));
    for (const { copy, reason, detail } of departing) this.#unload(copy, reason, detail);
    for (const arrival of this.#arrivals.values()) this.#load(arrival, moved);
    return this.#drafts;
  }

  /** Counts the copy as unchanged, drafts its replacement, or says why it leaves. */
  #judge(copy: JudgedCopy): { reason: PlanReason; detail: string } | undefined {
    const { resident, neuron, standing } = copy;
    const key = keyOf(resident.id, neuron.name);
    const displaced = this.#placement.displaced.find((row) => keyOf(row.modelId, row.neuron) === key);
    if (displaced !== undefined)
      return { reason: "makes_room", detail: `makes room for ${displaced.inFavourOf}` };
    if (standing.kind === "leaves") return this.#judgeLeaving(copy, standing);
    if (standing.kind !== "kept") return undefined;
    if (standing.current) {
      this.unchanged += 1;
      return undefined;
    }
    if (this.#placement.outdated.some((row) => keyOf(row.modelId, row.neuron) === key)) return undefined;
    const arrival = this.#arrivals.get(key);
    if (arrival !== undefined && sameDevices(arrival.shares, resident.devices)) {
      this.#arrivals.delete(key);
      this.#replace(copy, arrival, standing.model);
      return undefined;
    }
    return { reason: "spec_changed", detail: "its settings changed" };
  }

  /** A surplus copy whose neuron is given a copy after all simply stays, where the placement has room for it as it is. */
  #judgeLeaving(
    copy: JudgedCopy,
    standing: { readonly reason: PlanReason; readonly detail: string },
  ): { reason: PlanReason; detail: string } | undefined {
    const key = keyOf(copy.resident.id, copy.neuron.name);
    const room = this.#arrivals.get(key)?.shares;
    const held = this.#sharesOf(copy);
    const stays =
      room !== undefined &&
      sameDevices(room, copy.resident.devices) &&
      [...held].every(([index, share]) => share <= (room.get(index) ?? 0)) &&
      standing.reason === "replicas_lowered" &&
      copy.resident.spec_hash === copy.model?.specHash;
    if (!stays) return { reason: standing.reason, detail: standing.detail };
    this.#arrivals.delete(key);
    this.unchanged += 1;
    return undefined;
  }

  #sharesOf(copy: JudgedCopy): Shares {
    return this.#sharesByNeuron.get(copy.neuron.name)?.get(copy.resident.id) ?? new Map();
  }

  #unload(copy: JudgedCopy, reason: PlanReason, detail: string): void {
    const { resident, neuron, model } = copy;
    this.#drafts.push({
      priority: model?.priority ?? 0,
      frees: this.#sharesOf(copy),
      takes: new Map(),
      sizeKnown: true,
      change: {
        ...row({ kind: "unload", modelId: resident.id, neuron: neuron.name }),
        actions: ["unload"],
        action_reason: reason,
        detail,
        protected: model?.block.protect ?? false,
        ...perDevice(this.#sharesOf(copy)),
        vram_before_mb: resident.vram_used_mb,
        vram_after_mb: 0,
        vram_source: resident.vram_measured ? "measured" : "declared",
        spec: null,
      },
    });
  }

  #load(arrival: Arrival, moved: ReadonlySet<string>): void {
    const model = this.#desired.get(arrival.modelId);
    if (model === undefined) return;
    const here = this.#copies.find(
      (copy) => copy.resident.id === arrival.modelId && copy.neuron.name === arrival.neuron,
    );
    const isOutdated = here?.model !== undefined && here.resident.spec_hash !== here.model.specHash;
    const reason =
      isOutdated && here.standing.kind !== "ending"
        ? "spec_changed"
        : moved.has(arrival.modelId)
          ? "moved"
          : "declared_not_loaded";
    this.#drafts.push({
      ...loaded(model, arrival),
      frees: new Map(),
      change: {
        ...row({ kind: "load", modelId: arrival.modelId, neuron: arrival.neuron }),
        ...loadedFields(model, arrival),
        actions: ["load"],
        action_reason: reason,
        detail: loadDetail(model, reason),
        protected: false,
        vram_before_mb: 0,
      },
    });
  }

  #replace(copy: JudgedCopy, arrival: Arrival, model: DesiredModel): void {
    this.#drafts.push({
      ...loaded(model, arrival),
      frees: this.#sharesOf(copy),
      change: {
        ...row({ kind: "replace", modelId: arrival.modelId, neuron: arrival.neuron }),
        ...loadedFields(model, arrival),
        actions: ["unload", "load"],
        action_reason: "spec_changed",
        detail: `its settings changed${sizeRemark(model)}`,
        protected: model.block.protect,
        vram_before_mb: copy.resident.vram_used_mb,
      },
    });
  }
}

function row(of: { readonly kind: PlanChange["kind"]; readonly modelId: string; readonly neuron: string }) {
  return {
    id: `${of.kind} ${keyOf(of.modelId, of.neuron)}`,
    model_id: of.modelId,
    neuron: of.neuron,
    kind: of.kind,
    depends_on: [],
  };
}

const loaded = (model: DesiredModel, arrival: Arrival) => ({
  priority: model.priority,
  takes: arrival.shares,
  sizeKnown: model.need.footprintMb !== undefined,
});

function perDevice(shares: Shares): Pick<PlanChange, "devices" | "device_vram_mb"> {
  const devices = [...shares.keys()].toSorted((left, right) => left - right);
  return { devices, device_vram_mb: devices.map((index) => shares.get(index) ?? 0) };
}

function loadedFields(model: DesiredModel, arrival: Arrival) {
  const placed = perDevice(arrival.shares);
  return {
    ...placed,
    vram_after_mb: sharesTotal(arrival.shares),
    vram_source: model.footprint.source,
    spec: { ...model.spec, devices: placed.devices },
  };
}

function loadDetail(model: DesiredModel, reason: PlanReason): string {
  const { replicas } = model.block;
  const why =
    reason === "moved"
      ? "takes over from a copy that leaves"
      : reason === "spec_changed"
        ? "comes back with the new settings"
        : `replicas = ${replicas}, and ${replicas === 1 ? "it is" : "a copy is"} not loaded`;
  return why + sizeRemark(model);
}

const sizeRemark = (model: DesiredModel): string =>
  model.footprint.source === "unknown" ? "; its size is known after the first load (no vram_mb)" : "";

function sameDevices(shares: Shares, devices: readonly number[]): boolean {
  return shares.size === devices.length && devices.every((index) => shares.has(index));
}

/** What is free before anything happens, per neuron and device. */
function freeMemory(observed: ObservedFleet): ReadonlyMap<string, Shares> {
  return new Map(
    observed.neurons.flatMap((neuron) => {
      if (!neuron.reachable) return [];
      const used = usedNow(neuron);
      const free = neuron.discovery.devices.map(
        (device) =>
          [device.index, Math.max(0, device.vram_total_mb - (used.get(device.index) ?? 0))] as const,
      );
      return [[neuron.name, new Map(free)] as const];
    }),
  );
}

/** Models and other processes together. */
function usedNow(neuron: ReachableNeuron): Map<number, number> {
  const used = new Map(foreignMemory(neuron));
  for (const shares of residentShares(neuron).values()) addShares(used, shares, 1);
  return used;
}

function addShares(used: Map<number, number>, shares: Shares, sign: 1 | -1): void {
  for (const [index, share] of shares) used.set(index, (used.get(index) ?? 0) + sign * share);
}

function planNeuron(neuron: ObservedNeuron, drafts: readonly OrderedDraft[]): PlanNeuron {
  const { name, endpoint } = neuron;
  if (!neuron.reachable) {
    return {
      name,
      endpoint,
      reachable: false,
      problem: neuron.problem,
      generation: null,
      models: [],
      devices: [],
    };
  }
  const before = usedNow(neuron);
  const after = new Map(before);
  for (const draft of drafts.filter(({ change }) => change.neuron === name)) {
    addShares(after, draft.frees, -1);
    addShares(after, draft.takes, 1);
  }
  return {
    name,
    endpoint,
    reachable: true,
    problem: null,
    generation: neuron.generation,
    models: neuron.models.map(({ id, spec_hash, status }) => ({ model_id: id, spec_hash, status })),
    devices: neuron.discovery.devices.map((device) => ({
      index: device.index,
      name: device.name,
      kind: device.kind,
      vram_total_mb: device.vram_total_mb,
      vram_before_mb: before.get(device.index) ?? 0,
      vram_after_mb: Math.max(0, after.get(device.index) ?? 0),
    })),
  };
}

function leftAlone(copies: readonly JudgedCopy[]): PlanDocument["left_alone"] {
  return copies.flatMap(({ resident, neuron, standing }) =>
    standing.kind === "left_alone"
      ? [{ model_id: resident.id, neuron: neuron.name, reason: standing.reason }]
      : [],
  );
}
