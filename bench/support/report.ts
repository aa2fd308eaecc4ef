import { cpus, loadavg } from "node:os";

export const median = (values: readonly number[]): number => {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? Number.NaN;
};

/** What figures mean nothing without: the machine, and what else ran on it. */
export function machineLine(): string {
  const [first] = cpus();
  const load = loadavg()
    .map((value) => value.toFixed(1))
    .join(" ");
  return `${cpus().length} x ${first?.model.trim() ?? "unknown processor"}, load ${load}`;
}
