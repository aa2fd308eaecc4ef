import type { Clock } from "../../../core/clock.ts";

/** Where the monotonic time of a process begins, by the machine's clock, which all processes share; milliseconds. */
export const clockOriginMs = (clock: Pick<Clock, "monotonicMs">): number =>
  Number(process.hrtime.bigint()) / 1e6 - clock.monotonicMs();
