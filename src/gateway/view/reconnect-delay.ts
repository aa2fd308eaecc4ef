const FIRST_MS = 500;
const LONGEST_MS = 15_000;
/** A neuron that has no events gets them with its next version, not in a moment. */
const WITHOUT_EVENTS_MS = 60_000;

/** How long to wait before the events of a neuron are asked for again, after this many failures in a row. */
export const reconnectDelayMs = (failures: number, problem: string): number =>
  problem === "route_not_found"
    ? WITHOUT_EVENTS_MS
    : Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.max(0, failures - 1));
