import type { PlanChange } from "../protocol/plan-document.ts";
import { sharesTotal, type Shares } from "./device-room.ts";

/*
 * The order in which changes are carried out. Two wishes pull in opposite directions: a copy should leave only once
 * its successor is ready (make before break), and a load may need the memory of what leaves first (break before
 * make). Memory is physics, so it wins.
 *
 * On each neuron a load that fits beside everything that is there goes first. Every other load waits for all that
 * leaves its devices, shrinking replacements before growing ones; from then on a device holds nothing but what it
 * holds in the end, which placement has proved to fit. So no device is over its memory at any step.
 *
 * Across neurons, what leaves because it moved waits for the copy it moved to. Where the two kinds of waiting form a
 * ring (two models that change places on full devices), the move that matters least is made break before make, and
 * its row says so.
 */
export interface OrderedDraft {
  readonly change: PlanChange;
  readonly priority: number;
  /** MiB per device that the change frees, and that it takes. */
  readonly frees: Shares;
  readonly takes: Shares;
  /** False when what it takes is a guess: it then waits for everything that leaves. */
  readonly sizeKnown: boolean;
}

/** Device index to MiB that are free before anything happens. */
export type FreeMemory = ReadonlyMap<string, Shares>;

interface Edge {
  readonly before: string;
  readonly after: string;
  /** Memory edges hold; move edges are wishes. */
  readonly kind: "memory" | "move";
}

/** Drafts in an order that can be carried out, `depends_on` filled in for waits across neurons. */
export function orderChanges(drafts: readonly OrderedDraft[], free: FreeMemory): PlanChange[] {
  const sorted = drafts.toSorted(byLayer);
  const edges = [...memoryEdges(sorted, free), ...moveEdges(sorted)];
  const ordered: OrderedDraft[] = [];
  const pending = new Map(sorted.map((draft) => [draft.change.id, draft]));
  const broken = new Set<Edge>();
  while (pending.size > 0) {
    const waits = edges.filter(
      (edge) => !broken.has(edge) && pending.has(edge.before) && pending.has(edge.after),
    );
    const blocked = new Set(waits.map((edge) => edge.after));
    const ready = [...pending.values()].find((draft) => !blocked.has(draft.change.id));
    if (ready === undefined) {
      broken.add(leastImportantMove(waits, pending));
      continue;
    }
    pending.delete(ready.change.id);
    ordered.push(ready);
  }
  return ordered.map((draft) => withDependencies(draft, { edges, broken, drafts }));
}

/** Loads that may go first, then what leaves, then replacements, then the loads that needed the room. */
function layerOf({ change, frees, takes }: OrderedDraft): number {
  if (change.kind === "unload") return 1;
  if (change.kind === "load") return 0;
  return sharesTotal(takes) <= sharesTotal(frees) ? 2 : 3;
}

function byLayer(left: OrderedDraft, right: OrderedDraft): number {
  return (
    layerOf(left) - layerOf(right) ||
    right.priority - left.priority ||
    (left.change.id < right.change.id ? -1 : 1)
  );
}

function memoryEdges(sorted: readonly OrderedDraft[], free: FreeMemory): Edge[] {
  const edges: Edge[] = [];
  const remaining = new Map([...free].map(([neuron, shares]) => [neuron, new Map(shares)]));
  for (const draft of sorted.filter((candidate) => candidate.takes.size > 0)) {
    const left = remaining.get(draft.change.neuron) ?? new Map<number, number>();
    const returns = sorted.some((other) => takesDown(other, draft));
    if (!returns && fitsBeside(draft, left)) {
      for (const [index, share] of draft.takes) left.set(index, (left.get(index) ?? 0) - share);
      continue;
    }
    for (const earlier of sorted) {
      if (mustPrecede(earlier, draft))
        edges.push({ before: earlier.change.id, after: draft.change.id, kind: "memory" });
    }
  }
  return edges;
}

/** A model cannot be loaded twice on a neuron: its new copy waits for the old one even if both would fit. */
const takesDown = (other: OrderedDraft, draft: OrderedDraft): boolean =>
  other.change.kind === "unload" &&
  other.change.neuron === draft.change.neuron &&
  other.change.model_id === draft.change.model_id;

function fitsBeside(draft: OrderedDraft, free: Shares): boolean {
  if (draft.change.kind !== "load" || !draft.sizeKnown) return false;
  return [...draft.takes].every(([index, share]) => share <= (free.get(index) ?? 0));
}

function mustPrecede(earlier: OrderedDraft, later: OrderedDraft): boolean {
  if (earlier === later || earlier.change.neuron !== later.change.neuron) return false;
  if (takesDown(earlier, later)) return true;
  if (layerOf(earlier) === 0 || earlier.frees.size === 0) return false;
  if (later.change.kind === "replace" && layerOf(earlier) >= layerOf(later)) return false;
  return true;
}

/** The change after which a moved copy may go: the arrival of its successor. */
function moveEdges(sorted: readonly OrderedDraft[]): Edge[] {
  return sorted.flatMap((departure) => {
    const { change } = departure;
    if (change.kind !== "unload" || change.action_reason === "replicas_lowered") return [];
    return sorted
      .filter(
        (arrival) =>
          arrival.change.kind === "load" &&
          arrival.change.model_id === change.model_id &&
          arrival.change.neuron !== change.neuron,
      )
      .map((arrival) => ({ before: arrival.change.id, after: change.id, kind: "move" as const }));
  });
}

function leastImportantMove(waits: readonly Edge[], pending: ReadonlyMap<string, OrderedDraft>): Edge {
  const moves = waits
    .filter((edge) => edge.kind === "move" && onRing(edge, waits))
    .sort(
      (left, right) =>
        (pending.get(left.after)?.priority ?? 0) - (pending.get(right.after)?.priority ?? 0) ||
        (left.after < right.after ? -1 : 1),
    );
  const [least] = moves;
  if (least === undefined) throw new Error("changes wait for each other in a ring without a move");
  return least;
}

/** Whether following the waits from the edge's end leads back to its start. */
function onRing(edge: Edge, waits: readonly Edge[]): boolean {
  const seen = new Set<string>();
  const open = [edge.after];
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    if (at === edge.before) return true;
    if (seen.has(at)) continue;
    seen.add(at);
    for (const next of waits) if (next.before === at) open.push(next.after);
  }
  return false;
}

function withDependencies(
  draft: OrderedDraft,
  context: {
    readonly edges: readonly Edge[];
    readonly broken: ReadonlySet<Edge>;
    readonly drafts: readonly OrderedDraft[];
  },
): PlanChange {
  const mine = context.edges.filter((edge) => edge.after === draft.change.id);
  const dependsOn = mine.filter((edge) => !context.broken.has(edge)).map((edge) => edge.before);
  const breaks = mine.some((edge) => context.broken.has(edge));
  const detail = breaks
    ? `${draft.change.detail}; leaves before its successor is ready, because the memory is needed`
    : draft.change.detail;
  return { ...draft.change, detail, depends_on: [...new Set(dependsOn)].toSorted() };
}
