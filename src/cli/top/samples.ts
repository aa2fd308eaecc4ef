import type { FleetTraffic } from "../../protocol/gateway-api.ts";

/** A figure a second, the latest last. */
export interface Samples {
  readonly requestsPerSec: readonly number[];
  readonly tokensPerSec: readonly number[];
  /** The 95th percentile; 0 where no stream had a first token. */
  readonly firstTokenMs: readonly number[];
  readonly errorsPerMin: readonly number[];
}

/** As wide as any terminal shows. */
const KEPT = 240;

const added = (values: readonly number[], value: number): readonly number[] =>
  [...values, value].slice(-KEPT);

export const withSample = (samples: Samples, traffic: FleetTraffic | undefined): Samples => ({
  requestsPerSec: added(samples.requestsPerSec, traffic?.requests_per_sec ?? 0),
  tokensPerSec: added(samples.tokensPerSec, traffic?.tokens_per_sec ?? 0),
  firstTokenMs: added(samples.firstTokenMs, traffic?.first_token_ms?.p95 ?? 0),
  errorsPerMin: added(samples.errorsPerMin, traffic?.errors_per_min ?? 0),
});

const BLOCKS = "▁▂▃▄▅▆▇█";
const ASCII_BLOCKS = "_.-~=+*#";

/** The latest values as a row of columns, the highest of them as tall as a line; blank where there are no values yet. */
export function sparkline(values: readonly number[], width: number, unicode: boolean): string {
  const shown = values.slice(-width);
  const highest = Math.max(...shown, 0);
  const blocks = unicode ? BLOCKS : ASCII_BLOCKS;
  const columns = shown.map((value) => {
    const level = highest === 0 ? 0 : Math.ceil((value / highest) * (blocks.length - 1));
    return blocks[level] ?? " ";
  });
  return columns.join("").padStart(width);
}
