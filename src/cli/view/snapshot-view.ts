import type { FleetSnapshot } from "../../protocol/fleet-snapshot.ts";
import type { View } from "./view.ts";

/** The snapshot itself, unless it went into a file. */
export const snapshotView = (snapshot: FleetSnapshot, out: string | undefined): View<FleetSnapshot> => ({
  json: snapshot,
  human: () => (out === undefined ? JSON.stringify(snapshot, undefined, 2) : ""),
});

/** Said beside a snapshot that was saved. */
export function savedSnapshotText({ neurons }: FleetSnapshot, out: string): string {
  const silent = neurons.filter(({ reachable }) => !reachable).map(({ name }) => name);
  const missing = silent.length === 0 ? "" : `; ${silent.join(", ")} did not answer`;
  return `Saved ${neurons.length} neurons${missing}. Plan on it with: cortex plan --against ${out}`;
}
