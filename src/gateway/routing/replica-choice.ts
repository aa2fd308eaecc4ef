import { hash } from "node:crypto";
import { compareText } from "../../core/order.ts";

/** A copy that may take the request. */
export interface ReplicaOffer {
  readonly neuron: string;
  /** Requests that it has, its failures counted as some more. */
  readonly load: number;
  /** How fast it is beside the others, in tokens a second or any other measure that they share. */
  readonly speed: number;
}

/** How much more than its share a copy may have for the sake of conversations that began there. */
export const LOAD_FACTOR = 1.25;

/**
 * Which copy a request goes to. Without an affinity: to where its turn comes first, so that a copy gets as much as it
 * is fast. With one: to the copy at which its conversation is at home, whose cache has the beginning of the prompt,
 * as long as that has no more than `LOAD_FACTOR` times its share.
 *
 * Home is weighted rendezvous hashing: every gateway comes to the same one without asking another, and a copy that
 * comes or goes moves no conversation but those that it takes or had. Undefined for no copies.
 */
export function chooseReplica<Offer extends ReplicaOffer>(
  offers: readonly Offer[],
  affinity: string | null,
): Offer | undefined {
  if (affinity === null || offers.length < 2) return soonest(offers);
  const bounds = loadBounds(offers);
  const atHome = offers
    .map((offer) => ({ offer, score: homeScore(affinity, offer) }))
    .sort((left, right) => right.score - left.score || compareText(left.offer.neuron, right.offer.neuron))
    .find(({ offer }) => offer.load + 1 <= (bounds.get(offer.neuron) ?? 0));
  return atHome?.offer ?? soonest(offers);
}

/** How many requests each copy may have, the one that comes included. Together they always have room for it. */
export function loadBounds(offers: readonly ReplicaOffer[]): ReadonlyMap<string, number> {
  const total = offers.reduce((sum, { load }) => sum + load, 1);
  const speeds = offers.reduce((sum, { speed }) => sum + speed, 0);
  return new Map(
    offers.map(({ neuron, speed }) => [
      neuron,
      Math.max(1, Math.ceil((LOAD_FACTOR * total * speed) / speeds)),
    ]),
  );
}

function soonest<Offer extends ReplicaOffer>(offers: readonly Offer[]): Offer | undefined {
  let best: Offer | undefined;
  for (const offer of offers) if (best === undefined || bySoonness(offer, best) < 0) best = offer;
  return best;
}

const bySoonness = (left: ReplicaOffer, right: ReplicaOffer): number =>
  (left.load + 1) * right.speed - (right.load + 1) * left.speed || compareText(left.neuron, right.neuron);

const HASHED_RANGE = 2 ** 48;

/** The largest wins; a copy wins as often as it is fast. */
function homeScore(affinity: string, { neuron, speed }: ReplicaOffer): number {
  const drawn = Number.parseInt(hash("sha1", `${affinity}\n${neuron}`).slice(0, 12), 16);
  return -speed / Math.log((drawn + 0.5) / HASHED_RANGE);
}
