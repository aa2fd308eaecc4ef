import { by } from "../../core/order.ts";
import type { FleetModelState, FleetNeuronState, FleetState } from "../../protocol/gateway-api.ts";
import { copyKindOf, type CopyKind } from "./device-use.ts";

/** `serving` copies answer; `stuck` ones are loaded and cannot, `draining` ones because their neuron takes no new work; `missing` models are declared and not all there. */
export type ModelRowState =
  | "serving"
  | "loading"
  | "leaving"
  | "draining"
  | "stuck"
  | "missing"
  | "failed"
  | "unknown"
  | "cold";

export interface ModelCopy {
  readonly neuron: string;
  readonly model: FleetModelState;
  readonly kind: CopyKind;
  /** The neuron answers; what is told of it is of now. */
  readonly isSeen: boolean;
}

/** One model of the fleet, over all of its copies. */
export interface ModelRow {
  readonly id: string;
  readonly state: ModelRowState;
  /** Copies that the files keep loaded; 0 = on demand; null = no block declares it. */
  readonly declared: number | null;
  readonly copies: readonly ModelCopy[];
  readonly inFlight: number;
  readonly slots: number;
  /** At its copies and at the gateway. */
  readonly queued: number;
  readonly tokensPerSec: number | null;
  readonly memoryMb: number;
  readonly lastUsedMs: number | null;
  /** Of a load under way, 0 to 1; null where it cannot be told, or none is. */
  readonly loadProgress: number | null;
  /** In words: why it is where it is, or why it is not. */
  readonly why: string;
}

/** Copies that the files keep loaded, by model. */
export const declaredCopies = ({ declared }: Pick<FleetState, "declared">): ReadonlyMap<string, number> =>
  new Map(
    declared.models.map((block) => {
      const replicas = block["replicas"];
      return [block.id, typeof replicas === "number" ? replicas : 0];
    }),
  );

/** Every model that is declared or loaded, in order of its id. */
export function modelRows(state: FleetState): readonly ModelRow[] {
  const declared = declaredCopies(state);
  const copies = copiesOf(state, declared);
  const facts = {
    declared,
    loads: new Map(state.loads.map((load) => [load.model, load])),
    queues: new Map((state.queues ?? []).map(({ model, waiting }) => [model, waiting])),
    failures: new Map((state.failed_loads ?? []).map((failed) => [failed.model, failed])),
    isPartial: state.neurons.some(({ health }) => health !== "healthy"),
  };
  const ids = new Set([...declared.keys(), ...copies.keys(), ...facts.loads.keys()]);
  return [...ids].map((id) => modelRow(id, copies.get(id) ?? [], facts)).toSorted(by(({ id }) => id));
}

function copiesOf(state: FleetState, declared: ReadonlyMap<string, number>): Map<string, ModelCopy[]> {
  const copies = new Map<string, ModelCopy[]>();
  for (const neuron of state.neurons) {
    for (const model of neuron.models) {
      const copy = {
        neuron: neuron.name,
        model,
        kind: copyKindOf(model, declared),
        isSeen: isSeen(neuron),
      };
      const known = copies.get(model.id);
      if (known === undefined) copies.set(model.id, [copy]);
      else known.push(copy);
    }
  }
  return copies;
}

const isSeen = ({ health }: FleetNeuronState): boolean => health === "healthy";

interface RowFacts {
  readonly declared: ReadonlyMap<string, number>;
  readonly loads: ReadonlyMap<string, FleetState["loads"][number]>;
  readonly queues: ReadonlyMap<string, number>;
  readonly failures: ReadonlyMap<string, NonNullable<FleetState["failed_loads"]>[number]>;
  readonly isPartial: boolean;
}

function modelRow(id: string, copies: readonly ModelCopy[], facts: RowFacts): ModelRow {
  const seen = copies.filter((copy) => copy.isSeen);
  const sum = (of: (copy: ModelCopy) => number): number => seen.reduce((total, copy) => total + of(copy), 0);
  const speeds = seen.flatMap(({ model }) => model.tokens_per_sec ?? []);
  const used = copies.flatMap(({ model }) => model.last_used_ms ?? []);
  const declared = facts.declared.get(id) ?? null;
  const state = stateOf({ id, declared, seen, all: copies }, facts);
  return {
    id,
    state,
    declared,
    copies,
    inFlight: sum(({ model }) => model.load?.in_flight ?? 0),
    slots: sum(({ model }) => model.load?.max_in_flight ?? 0),
    queued: sum(({ model }) => model.load?.queue_depth ?? 0) + (facts.queues.get(id) ?? 0),
    tokensPerSec: speeds.length === 0 ? null : speeds.reduce((total, speed) => total + speed, 0),
    memoryMb: sum(({ model }) => model.vram_used_mb),
    lastUsedMs: used.length === 0 ? null : Math.max(...used),
    loadProgress: facts.loads.get(id)?.progress ?? null,
    why: whyText({ id, state, declared, copies: seen }, facts),
  };
}

interface CopiesSeen {
  readonly id: string;
  readonly declared: number | null;
  readonly seen: readonly ModelCopy[];
  /** Those of silent neurons too. */
  readonly all: readonly ModelCopy[];
}

function stateOf({ id, declared, seen, all }: CopiesSeen, facts: RowFacts): ModelRowState {
  const isAny = (status: string): boolean => seen.some(({ model }) => model.status === status);
  const loaded = seen.filter(({ model }) => model.status === "loaded");
  const unable = unableState(loaded);
  if (unable !== null) return unable;
  const own = loaded.filter(({ kind }) => kind !== "foreign").length;
  const lacks = own < (declared ?? 0);
  if (loaded.length > 0 && !lacks) return "serving";
  if (facts.loads.has(id) || isAny("loading")) return "loading";
  if (all.length > seen.length || (lacks && facts.isPartial)) return "unknown";
  if (lacks) return "missing";
  return isAny("unloading") ? "leaving" : absentState(id, facts);
}

/** Null where some copy serves, or none is loaded. */
function unableState(loaded: readonly ModelCopy[]): ModelRowState | null {
  const unable = loaded.filter(({ model }) => !model.servable.ok);
  if (unable.some(({ model }) => model.servable.reason !== "draining")) return "stuck";
  return unable.length > 0 && unable.length === loaded.length ? "draining" : null;
}

const absentState = (id: string, { failures }: RowFacts): ModelRowState =>
  failures.has(id) ? "failed" : "cold";

function whyText(
  {
    id,
    state,
    declared,
    copies,
  }: {
    readonly id: string;
    readonly state: ModelRowState;
    readonly declared: number | null;
    readonly copies: readonly ModelCopy[];
  },
  { loads, failures }: RowFacts,
): string {
  const failure = failures.get(id);
  if (failure !== undefined) return `load failed on ${failure.node}: ${failure.code}`;
  const load = loads.get(id);
  if (load !== undefined) return `${load.waiting} waiting for ${load.state} on ${load.node}`;
  const stuck = copies.find(({ model }) => model.status === "loaded" && !model.servable.ok);
  if (stuck !== undefined && (state === "stuck" || state === "draining")) {
    const { reason, detail } = stuck.model.servable;
    return `${stuck.neuron}: ${detail ?? reason ?? "cannot serve"}`;
  }
  if (state === "missing") return "declared, and not loaded";
  if (state === "unknown") return "a neuron does not answer";
  const [first] = copies;
  if (first !== undefined) return originText(first);
  return declared === null ? "not declared" : "on demand, nobody asks";
}

/** "declared a1b2c3d": what a copy says of itself. */
export function originText({ model, kind }: ModelCopy): string {
  if (kind === "manual") return "by hand";
  const { origin } = model;
  if (kind === "foreign") return `fleet ${origin?.fleet ?? "unknown"}`;
  if (origin?.kind !== "revision") return kind === "resident" ? "declared" : "a request asked for it";
  const mark = origin.uncommitted === true ? ", uncommitted" : "";
  return kind === "resident"
    ? `declared ${shortRevision(origin.ref)}${mark}`
    : `not declared any more${mark}`;
}

/** Revisions are known by their beginning; files that no commit holds by that of their digest. */
export function shortRevision(ref: string | undefined): string {
  if (ref === undefined) return "the files";
  const [, digest] = /^sha256:(.+)$/.exec(ref) ?? [];
  return digest === undefined ? ref.slice(0, 7) : `files ${digest.slice(0, 7)}`;
}
