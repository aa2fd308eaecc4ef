/** A value at a time. */
export interface Reading {
  readonly atMs: number;
  readonly value: number;
}

/** As many as are shown, and the one before them, which held when their time began; older ones are forgotten. */
export function remember(readings: readonly Reading[], reading: Reading, keepMs: number): readonly Reading[] {
  const all = [...readings, reading];
  const first = all.findIndex(({ atMs }) => atMs > reading.atMs - keepMs);
  return all.slice(Math.max(0, first - 1));
}

export interface SparkArea {
  readonly width: number;
  readonly height: number;
  readonly fromMs: number;
  readonly toMs: number;
}

/** Points of a stepped line, oldest first: a value holds until the next one is said. Empty where there is nothing. */
export function sparkPoints(readings: readonly Reading[], area: SparkArea): string {
  const { width, height, fromMs, toMs } = area;
  const most = Math.max(1, ...readings.map(({ value }) => value));
  const x = (atMs: number) => tidy(((Math.max(atMs, fromMs) - fromMs) / (toMs - fromMs)) * width);
  const y = (value: number) => tidy(height - (value / most) * height);
  const points: string[] = [];
  for (const [at, { atMs, value }] of readings.entries()) {
    const until = readings[at + 1]?.atMs ?? toMs;
    if (until < fromMs) continue;
    points.push(`${x(atMs)},${y(value)}`, `${x(until)},${y(value)}`);
  }
  return points.join(" ");
}

const tidy = (value: number): number => Math.round(value * 10) / 10;
