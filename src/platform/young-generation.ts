import { getHeapSpaceStatistics, setFlagsFromString } from "node:v8";
import type { Clock } from "../core/clock.ts";
import { sleptThrough } from "../core/interruptible-sleep.ts";
import { MIB_BYTES } from "../core/quantities.ts";

/** V8 doubles it at a collection, so between two looks it can go past the bound only where a lot survives. */
const LOOK_MS = 250;

/**
 * Holds the room for objects that die young at `mostMib` or less, in each of its two halves, until it is closed.
 *
 * V8 doubles that room whenever as much as it holds has survived since the last time, however long that took. So a
 * process that runs for days always ends at 32 MiB twice, whether it needs them or not, and most of them stay in memory.
 * Its own bound is a flag that has to stand before the script; by how much it grows V8 asks each time. That is one setting
 * for all threads of the process.
 */
export function boundYoungGeneration(mostMib: number, clock: Clock): { close(): void } {
  const closed = new AbortController();
  let growing: boolean | undefined;
  const look = (): void => {
    const mayGrow = 2 * youngGenerationBytes() <= mostMib * MIB_BYTES;
    if (mayGrow === growing) return;
    growing = mayGrow;
    setFlagsFromString(`--semi-space-growth-factor=${growing ? 2 : 1}`);
  };
  const keepLooking = async (): Promise<void> => {
    do look();
    while (await sleptThrough(clock, LOOK_MS, closed.signal));
  };
  void keepLooking();
  return {
    close: () => {
      closed.abort(new Error("nothing more is bounded"));
    },
  };
}

/** How much one half can hold now. */
export function youngGenerationBytes(): number {
  const space = getHeapSpaceStatistics().find(({ space_name }) => space_name === "new_space");
  return space === undefined ? 0 : space.space_used_size + space.space_available_size;
}
