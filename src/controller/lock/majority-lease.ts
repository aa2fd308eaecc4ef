import type { NeuronLease } from "../../protocol/refs/neuron-lease.ts";
import type { SeenLock } from "./lock-store.ts";

export const majorityOf = (neurons: number): number => Math.floor(neurons / 2) + 1;

/**
 * Who holds the lock, by what each neuron says of its own lease; undefined of one that is silent. A lease that most of them
 * could have, if the silent ones had it too, counts as held: it may be. Of several such the one of the highest epoch, which
 * came last. One that cannot have a majority is left over from somebody who was not quick enough, and is nobody's.
 */
export function majorityLease(leases: readonly (NeuronLease | undefined)[], neurons: number): SeenLock {
  const told = leases.filter((lease) => lease !== undefined);
  const silent = neurons - told.length;
  const lastEpoch = Math.max(0, ...told.map(({ last_epoch }) => last_epoch));
  const groups = [...Map.groupBy(told, ({ token }) => token)]
    .filter(([token, same]) => token !== null && same.length + silent >= majorityOf(neurons))
    .toSorted(([, left], [, right]) => epochIn(right) - epochIn(left));
  const [token, [held] = []] = groups[0] ?? [];
  return { token: token ?? undefined, record: held?.record ?? undefined, lastEpoch };
}

const epochIn = ([lease]: readonly NeuronLease[]): number => lease?.record?.epoch ?? 0;
