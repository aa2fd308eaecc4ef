const FIRST_MS = 100;
const LONGEST_MS = 30_000;
/** One that has lived so long had not come to grief at its start. */
const LIVED_MS = 60_000;

/** How often in a row workers of this place have died young, this time included. */
export const deathsInRow = (before: number, livedMs: number): number =>
  livedMs >= LIVED_MS ? 1 : before + 1;

/** How long the place of a dead worker stays empty: a start that fails again and again must not take the machine. */
export const restartDelayMs = (deaths: number): number =>
  Math.min(LONGEST_MS, FIRST_MS * 4 ** Math.max(0, deaths - 1));
