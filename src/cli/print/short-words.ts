import { formatMib } from "../../core/quantities.ts";

/** "3 s", "12 m", "5 h", "8 d": one figure, for columns. */
export function shortDuration(ms: number): string {
  const secs = Math.max(0, Math.round(ms / 1000));
  if (secs < 100) return `${secs} s`;
  if (secs < 100 * 60) return `${Math.floor(secs / 60)} m`;
  if (secs < 48 * 3600) return `${Math.floor(secs / 3600)} h`;
  return `${Math.floor(secs / 86_400)} d`;
}

/** "now", "3 s ago"; "-" for never. */
export const agoText = (ms: number | null, nowMs: number): string => {
  if (ms === null) return "-";
  const agoMs = nowMs - ms;
  return agoMs < 1500 ? "now" : `${shortDuration(agoMs)} ago`;
};

/** Milliseconds as a person says them: "85 ms", "1.25 s", "130 s". */
export function latencyText(ms: number): string {
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  return `${(ms / 1000).toFixed(ms < 10_000 ? 2 : ms < 100_000 ? 1 : 0)} s`;
}

/** "7", "42.5", "1.2k": a rate in few characters. */
export function rateText(value: number): string {
  if (value >= 10_000) return `${(value / 1000).toFixed(0)}k`;
  if (value >= 1000) return `${(value / 1000).toFixed(1)}k`;
  if (value >= 100 || Number.isInteger(value)) return value.toFixed(0);
  return value.toFixed(1);
}

/** "18.4/32.0 GiB": both in the unit of the larger one. */
export function memoryPair(usedMib: number, totalMib: number): string {
  const [total = "", unit = ""] = formatMib(totalMib).split(" ");
  const divisor = unit === "TiB" ? 1024 * 1024 : unit === "GiB" ? 1024 : 1;
  const used = usedMib / divisor;
  const digits = total.includes(".") ? 1 : used < 100 && divisor > 1 ? 1 : 0;
  return `${used.toFixed(digits)}/${total} ${unit}`;
}
