/** One mebibyte; device memory is counted in whole MiB everywhere on the wire. */
export const MIB_BYTES = 1024 * 1024;

const BYTE_UNITS = ["B", "KiB", "MiB", "GiB", "TiB"] as const;

/** Bytes rounded up to whole MiB: a footprint is never understated. */
export const bytesToMib = (bytes: number): number => Math.ceil(bytes / MIB_BYTES);

/** "31.8 GiB": one decimal below 100, none above. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (Math.abs(value) >= 1024 && unit < BYTE_UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const digits = unit === 0 || Math.abs(value) >= 100 ? 0 : 1;
  return `${value.toFixed(digits)} ${BYTE_UNITS[unit] ?? "B"}`;
}

export const formatMib = (mib: number): string => formatBytes(mib * MIB_BYTES);

/** "850 ms", "12.3 s", "4 m 10 s", "2 h 05 m". */
export function formatDuration(durationMs: number): string {
  if (durationMs < 1000) return `${Math.round(durationMs)} ms`;
  if (durationMs < 60_000) return `${(durationMs / 1000).toFixed(1)} s`;
  const totalSeconds = Math.round(durationMs / 1000);
  const hours = Math.floor(totalSeconds / 3600);
  const minutes = Math.floor((totalSeconds % 3600) / 60);
  if (hours > 0) return `${hours} h ${String(minutes).padStart(2, "0")} m`;
  return `${minutes} m ${totalSeconds % 60} s`;
}

const UNIT_MS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000 };

/** "90s", "15m", "2h" in milliseconds; undefined for anything else, a figure without a unit included. */
export function parseDuration(text: string): number | undefined {
  const [, figure = "", unit = ""] = /^(\d+(?:\.\d+)?) ?([smh])$/.exec(text.trim()) ?? [];
  const unitMs = UNIT_MS[unit];
  const durationMs = unitMs === undefined ? 0 : Number(figure) * unitMs;
  return durationMs > 0 ? durationMs : undefined;
}
