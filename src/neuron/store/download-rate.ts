interface Sample {
  readonly atMs: number;
  readonly bytes: number;
}

/** Long enough that one slow second does not make hours of the rest. */
const WINDOW_MS = 15_000;

/** Bytes done over the last seconds: the oldest sample that counts, and the newest. */
export type RateWindow = readonly Sample[];

export function withSample(window: RateWindow, sample: Sample): RateWindow {
  const kept = window.filter(({ atMs }) => sample.atMs - atMs <= WINDOW_MS);
  return [...kept, sample];
}

/** Seconds until `remainingBytes` are here at the rate of the window; null while there is no rate. */
export function etaSecs(window: RateWindow, remainingBytes: number): number | null {
  const [oldest] = window;
  const newest = window.at(-1);
  if (oldest === undefined || newest === undefined) return null;
  const bytes = newest.bytes - oldest.bytes;
  const elapsedMs = newest.atMs - oldest.atMs;
  if (bytes <= 0 || elapsedMs <= 0) return null;
  return Math.ceil((remainingBytes * elapsedMs) / bytes / 1000);
}
