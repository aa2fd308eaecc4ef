import { present } from "../../core/present.ts";
import type { DesiredModel } from "../intent/desired-models.ts";
import { residentShares, sharesTotal, type Shares } from "../observe/device-memory.ts";
import { busyRequests, liveRequests, useOf, type LiveRequests } from "../observe/live-use.ts";
import {
  loadHistory,
  predictLoad,
  predictUnload,
  unloadSecs,
  type LoadHistory,
} from "../schedule/load-duration.ts";
import { copyKey, type ObservedFleet } from "../observe/observed-fleet.ts";
import type { Arrival, Departure as PlanDeparture, Placement } from "../place/board/placement.ts";
import type { FormerProtection, FormerProtections } from "../intent/former-protections.ts";
import type { JudgedCopy } from "../intent/present-copies.ts";
import {
  identify,
  roomFor,
  type Change,
  type ChangeReason,
  type Draft,
  type Role,
} from "../schedule/draft.ts";

const FORMER_PROTECTION: Readonly<Record<FormerProtection, string>> = {
  protected: "its last one had protect = true",
  history_cut_off:
    "this shallow clone does not say whether its last one had protect = true (git fetch --unshallow)",
  history_unreadable: "the commit that would say whether its last one had protect = true cannot be read",
};

export interface DiffInput {
  readonly desired: ReadonlyMap<string, DesiredModel>;
  readonly copies: readonly JudgedCopy[];
  readonly placement: Pick<Placement, "arrivals" | "displaced" | "outdated">;
  readonly observed: ObservedFleet;
  /** Models without a block whose last block had `protect = true`, or may have had it. */
  readonly formerlyProtected?: FormerProtections | undefined;
}

export interface PlanDiff {
  readonly drafts: readonly Draft[];
  /** Copies that are already as declared. */
  readonly unchanged: number;
  /** `model@neuron` of surplus copies that stay, because placement wanted one just there. */
  readonly stay: ReadonlySet<string>;
}

/** Everything that differs between what is loaded and where placement wants it, in no order yet. */
export const diffPlacement = (input: DiffInput): PlanDiff => new FleetDiff(input).run();

/** Why a copy leaves its place, and whether another is to serve in its stead. */
interface Departing {
  readonly stillWanted: boolean;
  readonly reason: ChangeReason;
  readonly detail: string;
  readonly inFavourOf?: string;
}

class FleetDiff {
  readonly #input: DiffInput;
  readonly #arrivals: Map<string, Arrival>;
  readonly #ranks: ReadonlyMap<Arrival, number>;
  readonly #shares: ReadonlyMap<string, Shares>;
  readonly #history: LoadHistory;
  readonly #copiesOf: ReadonlyMap<string, readonly JudgedCopy[]>;
  /** By `model@neuron`. */
  readonly #displaced: ReadonlyMap<string, PlanDeparture>;
  readonly #outdated: ReadonlySet<string>;
  readonly #silent: readonly string[];
  readonly #drafts: Draft[] = [];
  readonly #stay = new Set<string>();
  #unchanged = 0;

  constructor(input: DiffInput) {
    this.#input = input;
    const { displaced, outdated } = input.placement;
    this.#copiesOf = Map.groupBy(input.copies, ({ resident }) => resident.id);
    this.#displaced = new Map(displaced.map((row) => [copyKey(row.modelId, row.neuron), row]));
    this.#outdated = new Set(outdated.map((row) => copyKey(row.modelId, row.neuron)));
    this.#silent = input.observed.neurons.filter(({ reachable }) => !reachable).map(({ name }) => name);
    this.#history = loadHistory(input.observed);
    this.#arrivals = new Map(
      input.placement.arrivals.map((arrival) => [copyKey(arrival.modelId, arrival.neuron), arrival]),
    );
    this.#ranks = new Map(input.placement.arrivals.map((arrival, rank) => [arrival, rank]));
    this.#shares = new Map(
      input.observed.neurons.flatMap((neuron) =>
        neuron.reachable
          ? [...residentShares(neuron)].map(([id, shares]) => [copyKey(id, neuron.name), shares] as const)
          : [],
      ),
    );
  }

  run(): PlanDiff {
    const departing: { copy: JudgedCopy; leaving: Departing }[] = [];
    for (const copy of this.#input.copies) {
      const leaving = this.#judge(copy);
      if (leaving !== undefined) departing.push({ copy, leaving });
    }
    const moved = new Map<string, string[]>();
    for (const { copy } of departing) {
      const from = moved.get(copy.resident.id) ?? [];
      moved.set(copy.resident.id, [...from, copy.neuron.name]);
    }
    for (const { copy, leaving } of departing) this.#unload(copy, leaving);
    for (const arrival of this.#arrivals.values()) this.#load(arrival, moved.get(arrival.modelId) ?? []);
    return { drafts: this.#drafts, unchanged: this.#unchanged, stay: this.#stay };
  }

  /** Counts the copy as unchanged, drafts its replacement, or says why it leaves. */
  #judge(copy: JudgedCopy): Departing | undefined {
    const { resident, neuron, standing } = copy;
    const key = copyKey(resident.id, neuron.name);
    const displaced = this.#displaced.get(key);
    if (displaced !== undefined) {
      const detail = roomFor(displaced.inFavourOf);
      return { stillWanted: true, reason: "makes_room", detail, inFavourOf: displaced.inFavourOf };
    }
    if (standing.kind === "leaves") return this.#judgeLeaving(copy, standing);
    if (standing.kind !== "kept") return undefined;
    if (standing.current) {
      this.#unchanged += 1;
      return undefined;
    }
    if (this.#outdated.has(key)) return undefined;
    const arrival = this.#arrivals.get(key);
    if (arrival !== undefined && sameDevices(arrival.shares, resident.devices)) {
      this.#arrivals.delete(key);
      this.#replace(copy, arrival, standing.model);
      return undefined;
    }
    return { stillWanted: true, reason: "spec_changed", detail: "its settings changed" };
  }

  /** A surplus copy whose neuron is given a copy after all simply stays, where the placement has room for it as it is. */
  #judgeLeaving(copy: JudgedCopy, leaving: Departing): Departing | undefined {
    const key = copyKey(copy.resident.id, copy.neuron.name);
    const room = this.#arrivals.get(key)?.shares;
    const held = this.#sharesOf(copy);
    const stays =
      room !== undefined &&
      sameDevices(room, copy.resident.devices) &&
      [...held].every(([index, share]) => share <= (room.get(index) ?? 0)) &&
      !leaving.stillWanted &&
      copy.resident.spec_hash === copy.model?.specHash;
    if (!stays) return leaving;
    this.#arrivals.delete(key);
    this.#stay.add(key);
    this.#unchanged += 1;
    return undefined;
  }

  #sharesOf(copy: JudgedCopy): Shares {
    const key = copyKey(copy.resident.id, copy.neuron.name);
    return present(this.#shares.get(key), "the memory of", key);
  }

  #rankOf(arrival: Arrival): number {
    return present(this.#ranks.get(arrival), "the rank of", arrival.modelId);
  }

  #desired(modelId: string): DesiredModel {
    return present(this.#input.desired.get(modelId), "the block of", modelId);
  }

  #formerProtection({ model, resident }: JudgedCopy): string | undefined {
    const known = model === undefined ? this.#input.formerlyProtected?.get(resident.id) : undefined;
    return known === undefined ? undefined : FORMER_PROTECTION[known];
  }

  #requests(copy: JudgedCopy): LiveRequests | null {
    return liveRequests(this.#input.observed, copy.neuron, copy.resident.id);
  }

  #unload(copy: JudgedCopy, { stillWanted, reason, detail, inFavourOf }: Departing): void {
    const role = stillWanted ? "hands_over" : "leaves_for_good";
    const { resident, neuron, model } = copy;
    const requests = this.#requests(copy);
    const formerly = this.#formerProtection(copy);
    this.#drafts.push({
      role,
      priority: model?.priority ?? 0,
      frees: this.#sharesOf(copy),
      takes: new Map(),
      rank: 0,
      sizeKnown: true,
      use: useOf(requests),
      lastUsedMs: resident.last_used_ms ?? 0,
      inFavourOf,
      change: {
        ...identify({ role, modelId: resident.id, neuron: neuron.name }),
        reason,
        detail: formerly === undefined ? detail : `${detail}, and ${formerly}`,
        isProtected: formerly !== undefined || model?.block.protect === true,
        ...perDevice(this.#sharesOf(copy)),
        beforeMib: resident.vram_used_mb,
        afterMib: 0,
        sizeSource: resident.vram_measured ? "measured" : "declared",
        duration: predictUnload(
          { modelId: resident.id, neuron: neuron.name },
          busyRequests(requests),
          this.#history,
        ),
        spec: null,
      },
    });
  }

  #load(arrival: Arrival, movedFrom: readonly string[]): void {
    const model = this.#desired(arrival.modelId);
    const copies = this.#copiesOf.get(arrival.modelId) ?? [];
    const here = copies.find(({ neuron }) => neuron.name === arrival.neuron);
    const isOutdated = here?.model !== undefined && here.resident.spec_hash !== here.model.specHash;
    const isRenewed = isOutdated && here.standing.kind !== "ending";
    const role = isRenewed || movedFrom.length > 0 ? "comes_back" : "adds";
    const reason = isRenewed ? "spec_changed" : role === "comes_back" ? "moved" : "declared_not_loaded";
    const elsewhere = movedFrom.filter((neuron) => neuron !== arrival.neuron);
    const detail = loadDetail(model, reason, { movedFrom: elsewhere, ...this.#knownCopies(model) });
    const place = { model, neuron: arrival.neuron, shares: arrival.shares, history: this.#history };
    this.#drafts.push({ ...loadDraft(place, { role, reason, detail }), rank: this.#rankOf(arrival) });
  }

  /** Copies that are seen, and silent neurons on which there may be more. */
  #knownCopies({ block }: DesiredModel): Pick<LoadFacts, "loaded" | "silent"> {
    const copies = this.#copiesOf.get(block.id) ?? [];
    const loaded = copies.filter(
      ({ standing }) => standing.kind !== "ending" && standing.kind !== "left_alone",
    ).length;
    const { pinned_on: pins } = block;
    const silent = this.#silent.filter((name) => pins.length === 0 || pins.includes(name));
    return { loaded, silent };
  }

  #replace(copy: JudgedCopy, arrival: Arrival, model: DesiredModel): void {
    const requests = this.#requests(copy);
    const place = { model, neuron: arrival.neuron, shares: arrival.shares, history: this.#history };
    const role = "renews";
    const load = loadDraft(place, {
      role,
      reason: "spec_changed",
      detail: `its settings changed${sizeRemark(model)}`,
    });
    const { secs, source, confidence } = load.change.duration;
    this.#drafts.push({
      ...load,
      frees: this.#sharesOf(copy),
      rank: this.#rankOf(arrival),
      use: useOf(requests),
      lastUsedMs: copy.resident.last_used_ms ?? 0,
      change: {
        ...load.change,
        isProtected: model.block.protect,
        beforeMib: copy.resident.vram_used_mb,
        duration: {
          secs: secs === null ? null : secs + unloadSecs(busyRequests(requests)),
          source,
          confidence,
        },
      },
    });
  }
}

export interface LoadPlace {
  readonly model: DesiredModel;
  readonly neuron: string;
  readonly shares: Shares;
  readonly history: LoadHistory;
}

/** A row that loads the model as declared. */
export function loadDraft(
  { model, neuron, shares, history }: LoadPlace,
  why: { readonly role: Role; readonly reason: ChangeReason; readonly detail: string },
): Draft {
  const placed = perDevice(shares);
  const { mib, source } = model.need;
  return {
    role: why.role,
    priority: model.priority,
    frees: new Map(),
    takes: shares,
    rank: 0,
    sizeKnown: mib !== undefined,
    use: 0,
    lastUsedMs: 0,
    change: {
      ...identify({ role: why.role, modelId: model.block.id, neuron }),
      reason: why.reason,
      detail: why.detail,
      isProtected: false,
      ...placed,
      beforeMib: 0,
      afterMib: sharesTotal(shares),
      sizeSource: source,
      duration: predictLoad({ modelId: model.block.id, specHash: model.specHash, neuron, mib }, history),
      spec: { ...model.spec, devices: [...placed.devices], ...measuredSize(model) },
    },
  };
}

/** The neuron reserves what it is told; what was measured counts here, and so it must count there. */
const measuredSize = ({ need: { mib, source } }: DesiredModel): { readonly vram_mb?: number } =>
  source === "measured" && mib !== undefined && mib > 0 ? { vram_mb: mib } : {};

function perDevice(shares: Shares): Pick<Change, "devices" | "deviceMib"> {
  const ascending = [...shares].toSorted(([left], [right]) => left - right);
  return { devices: ascending.map(([index]) => index), deviceMib: ascending.map(([, mib]) => mib) };
}

interface LoadFacts {
  readonly movedFrom: readonly string[];
  readonly loaded: number;
  readonly silent: readonly string[];
}

function loadDetail(model: DesiredModel, reason: ChangeReason, facts: LoadFacts): string {
  return (
    (reason === "moved"
      ? movedText(facts.movedFrom)
      : reason === "spec_changed"
        ? "comes back with the new settings"
        : missingText(model.block.replicas, facts)) + sizeRemark(model)
  );
}

const movedText = (from: readonly string[]): string =>
  from.length === 0 ? "comes back on other devices" : `takes over from ${from.toSorted().join(" and ")}`;

/** "replicas = 2, and 1 is loaded". */
function missingText(replicas: number, { loaded, silent }: LoadFacts): string {
  const seen =
    loaded > 0
      ? `${loaded} ${loaded === 1 ? "is" : "are"} loaded`
      : replicas === 1
        ? "it is not loaded"
        : "none is loaded";
  const [first] = silent;
  const where = silent.length === 1 ? (first ?? "") : `${silent.length} neurons`;
  const doubt =
    first === undefined
      ? ""
      : `; ${where} may hold a copy and ${silent.length === 1 ? "does" : "do"} not answer`;
  return `replicas = ${replicas}, and ${seen}${doubt}`;
}

const sizeRemark = (model: DesiredModel): string =>
  model.need.source === "unknown" ? "; its size is known after the first load (no vram_mb)" : "";

function sameDevices(shares: Shares, devices: readonly number[]): boolean {
  return shares.size === devices.length && devices.every((index) => shares.has(index));
}
