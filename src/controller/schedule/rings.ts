import { compareText } from "../../core/order.ts";
import { present } from "../../core/present.ts";
import { byId, identify, isReplace, isUnload, sameModel, type Draft, type ParkingOption } from "./draft.ts";
import { predictUnload } from "./load-duration.ts";
import type { TransitionMemory } from "./memory.ts";

/** What lets a transition go on in which every change waits for another. */
export type Relief =
  /** A copy stands on a third neuron for a while. */
  | { readonly kind: "park"; readonly load: Draft; readonly unload: Draft }
  /** A copy leaves before its successor is ready. */
  | { readonly kind: "break"; readonly departure: Draft; readonly reason: string }
  /** A replacement that needs its neighbours' memory gives its own back first. */
  | {
      readonly kind: "split";
      readonly replace: Draft;
      readonly unload: Draft;
      readonly load: Draft;
      readonly reason: string;
    }
  /** Nothing helps: what is left is left to another plan. */
  | { readonly kind: "defer"; readonly reason: string };

export interface Deadlock {
  readonly pending: readonly Draft[];
  readonly waits: ReadonlyMap<Draft, readonly Draft[]>;
  readonly memory: TransitionMemory;
  readonly parking: ReadonlyMap<string, ParkingOption>;
  readonly isParked: (modelId: string) => boolean;
  readonly isTaken: (modelId: string, neuron: string) => boolean;
}

/** Parking first, then breaking at the least cost, then giving up for now. */
export function chooseRelief(deadlock: Deadlock): Relief {
  const onRings = deadlock.pending.filter((draft) => isOnRing(draft, deadlock.waits));
  return (
    parking(onRings, deadlock) ??
    breaking(onRings, deadlock) ?? {
      kind: "defer",
      reason: deferralReason(onRings),
    }
  );
}

const waitsOf = (draft: Draft, waits: Deadlock["waits"]): readonly Draft[] =>
  present(waits.get(draft), "what is waited for by", draft.change.id);

/** Whether following the waits leads back to where they began. */
function isOnRing(start: Draft, waits: Deadlock["waits"]): boolean {
  const seen = new Set<Draft>();
  const open = [...waitsOf(start, waits)];
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    if (at === start) return true;
    if (seen.has(at)) continue;
    seen.add(at);
    open.push(...waitsOf(at, waits));
  }
  return false;
}

/** The smallest copy whose leaving lets another change start, on the emptiest device that its block allows. */
function parking(onRings: readonly Draft[], deadlock: Deadlock): Relief | undefined {
  const candidates = onRings.flatMap((draft) => {
    const option = deadlock.parking.get(draft.change.modelId);
    if (option === undefined || !isUnload(draft) || deadlock.isParked(draft.change.modelId)) return [];
    return isUnlockedBy(draft, deadlock) ? [{ draft, option }] : [];
  });
  candidates.sort((left, right) => left.option.mib - right.option.mib || byId(left.draft, right.draft));
  for (const { draft, option } of candidates) {
    const place = parkingPlace(draft.change.modelId, option, deadlock);
    if (place !== undefined) return { kind: "park", ...option.draftsOn(place) };
  }
  return undefined;
}

/** Some change that waits for this departure could start once its memory is free. */
function isUnlockedBy(departure: Draft, deadlock: Deadlock): boolean {
  return deadlock.pending.some(
    (draft) =>
      waitsOf(draft, deadlock.waits).includes(departure) &&
      !isUnload(draft) &&
      deadlock.memory.lacking(draft, departure.frees).length === 0,
  );
}

function parkingPlace(
  modelId: string,
  option: ParkingOption,
  deadlock: Deadlock,
): { readonly neuron: string; readonly device: number } | undefined {
  const places = option
    .places()
    .filter(({ neuron }) => !deadlock.isTaken(modelId, neuron))
    .flatMap(({ neuron, devices }) =>
      devices.map((device) => ({ neuron, device, freeMib: deadlock.memory.freeMib(neuron, device) })),
    )
    .filter(({ freeMib }) => freeMib >= option.mib);
  const [best] = places.sort(
    (left, right) =>
      right.freeMib - left.freeMib || compareText(left.neuron, right.neuron) || left.device - right.device,
  );
  return best;
}

/** The copy of the lowest class that is used least; a protected copy never leaves before its successor is ready. */
function breaking(onRings: readonly Draft[], deadlock: Deadlock): Relief | undefined {
  const candidates = onRings.filter(
    (draft) => (isUnload(draft) && !draft.change.isProtected) || isReplace(draft),
  );
  const [least] = candidates.sort(
    (left, right) =>
      Number(left.change.isProtected) - Number(right.change.isProtected) ||
      left.priority - right.priority ||
      left.use - right.use ||
      left.lastUsedMs - right.lastUsedMs ||
      byId(left, right),
  );
  if (least === undefined) return undefined;
  const rivals = rivalsOf(least, deadlock);
  const reason = `break before make, because its memory is needed${rivals}${parkingPrice(least, deadlock)}`;
  if (isUnload(least)) return { kind: "break", departure: least, reason };
  return { kind: "split", replace: least, ...splitReplace(least), reason };
}

/** What it would take to keep the copy serving; nothing where parking would not help or is not done. */
function parkingPrice(draft: Draft, deadlock: Deadlock): string {
  const option = deadlock.parking.get(draft.change.modelId);
  if (option === undefined || !isUnload(draft) || !isUnlockedBy(draft, deadlock)) return "";
  return ` (${option.mib} MB free on a device of a third neuron that its block allows would avoid it)`;
}

/** The models that wait for the memory of this one. */
function rivalsOf(draft: Draft, { pending, waits }: Deadlock): string {
  const rivals = pending
    .filter((other) => !sameModel(other, draft) && waitsOf(other, waits).includes(draft))
    .map(({ change }) => change.modelId);
  return rivals.length === 0 ? "" : ` for ${[...new Set(rivals)].toSorted().join(" and ")}`;
}

function splitReplace(replace: Draft): { readonly unload: Draft; readonly load: Draft } {
  const { change } = replace;
  const { modelId, neuron } = change;
  const freed = [...replace.frees].toSorted(([left], [right]) => left - right);
  return {
    unload: {
      ...replace,
      role: "hands_over",
      takes: new Map(),
      sizeKnown: true,
      change: {
        ...change,
        ...identify({ role: "hands_over", modelId, neuron }),
        devices: freed.map(([device]) => device),
        deviceMib: freed.map(([, mib]) => mib),
        afterMib: 0,
        duration: predictUnload({ modelId, neuron }, 0),
        spec: null,
      },
    },
    load: {
      ...replace,
      role: "comes_back",
      frees: new Map(),
      change: {
        ...change,
        ...identify({ role: "comes_back", modelId, neuron }),
        beforeMib: 0,
        isProtected: false,
      },
    },
  };
}

function deferralReason(onRings: readonly Draft[]): string {
  if (onRings.length === 0) return "its memory is still in use, and nothing in this plan frees it";
  const held = onRings.filter((draft) => draft.change.isProtected).map(({ change }) => change.modelId);
  const names = [...new Set(held)].toSorted().join(", ");
  return `${names} would have to leave before a successor is ready, and protect = true forbids that; give a device room to park it, or end the protection`;
}
