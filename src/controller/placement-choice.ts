import type { DesiredModel } from "./desired-models.ts";
import {
  displaceable,
  fit,
  sharesTotal,
  without,
  type Fit,
  type NeuronRoom,
  type Shares,
  type Tenant,
} from "./device-room.ts";
import { memoryRefusal, type Refusal } from "./placement-refusals.ts";

/** A way to put a copy on a neuron: on which devices, and who has to leave for it. */
export interface Candidate {
  readonly room: NeuronRoom;
  /** `weight` of the neuron's block. */
  readonly weight: number;
  readonly victims: readonly Tenant[];
  readonly shares: Shares;
  readonly freeAfterMb: number;
}

interface Offer {
  readonly room: NeuronRoom;
  readonly weight: number;
  readonly preferredDevices?: readonly number[] | undefined;
}

/** The best way to put a copy on this neuron, or why there is none. */
export function candidateOn(model: DesiredModel, offer: Offer): Candidate | Refusal {
  const { room, weight, preferredDevices } = offer;
  const need = preferredDevices === undefined ? model.need : { ...model.need, preferredDevices };
  const fits = (candidate: NeuronRoom): Fit => fit(candidate, need);
  const asItIs = fits(room);
  if (asItIs.fits) return { room, weight, victims: [], ...asItIs };
  // Nobody is asked to leave for a model that may turn out to be small.
  if (need.footprintMb === undefined) return memoryRefusal(model, room, asItIs);
  const victims: Tenant[] = [];
  let lack = asItIs;
  for (const tenant of displaceable(room, model.priority)) {
    victims.push(tenant);
    const emptied = fits(without(room, victims));
    if (emptied.fits) return { room, weight, ...fewestVictims(room, victims, fits) };
    lack = emptied;
  }
  return memoryRefusal(model, without(room, victims), lack);
}

/** Spares every victim that turns out not to be needed, those who matter most first. */
function fewestVictims(
  room: NeuronRoom,
  victims: readonly Tenant[],
  fits: (room: NeuronRoom) => Fit,
): Pick<Candidate, "victims" | "shares" | "freeAfterMb"> {
  let needed = [...victims];
  for (const victim of victims.toReversed()) {
    const fewer = needed.filter((candidate) => candidate !== victim);
    if (fits(without(room, fewer)).fits) needed = fewer;
  }
  const found = fits(without(room, needed));
  if (!found.fits) throw new Error("the last victims do not make room any more");
  return { victims: needed, shares: found.shares, freeAfterMb: found.freeAfterMb };
}

/** Nobody leaves if that can be; then as little as possible leaves; then the most free memory. */
export function byPreference(left: Candidate, right: Candidate): number {
  return (
    disturbance(left) - disturbance(right) ||
    right.freeAfterMb - left.freeAfterMb ||
    right.weight - left.weight ||
    left.room.tenants.length - right.room.tenants.length ||
    (left.room.neuron.name < right.room.neuron.name ? -1 : 1)
  );
}

/** A resident that leaves weighs more than any on-demand model. */
const disturbance = ({ victims }: Candidate): number =>
  victims.reduce(
    (total, victim) => total + (victim.rank === "resident" ? 1e9 : 1) + sharesTotal(victim.shares),
    0,
  );
