/** The two files of a kept state, as one. */
export interface KeptState {
  /** Path without its ending. */
  readonly path: string;
  readonly bytes: number;
  readonly lastUsedMs: number;
}

/** What has to go, longest unused first: what is too old, and as much of the rest as is beyond the limit. */
export function statesToRemove(
  states: readonly KeptState[],
  limits: { readonly mostBytes: number; readonly oldestMs: number; readonly nowMs: number },
): readonly KeptState[] {
  const oldestFirst = states.toSorted(
    (a, b) => a.lastUsedMs - b.lastUsedMs || a.path.localeCompare(b.path, "en"),
  );
  let leftBytes = states.reduce((sum, state) => sum + state.bytes, 0);
  return oldestFirst.filter((state) => {
    if (limits.nowMs - state.lastUsedMs <= limits.oldestMs && leftBytes <= limits.mostBytes) return false;
    leftBytes -= state.bytes;
    return true;
  });
}
