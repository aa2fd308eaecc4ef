/** The process group in `/proc/PID/stat`; the name in it may hold anything, so it is read from its end. */
export function groupOf(stat: string): number | undefined {
  const fields = stat
    .slice(stat.lastIndexOf(")") + 1)
    .trim()
    .split(" ");
  // After the name: state, parent, group.
  const group = Number(fields[2]);
  return Number.isSafeInteger(group) ? group : undefined;
}

/** `VmRSS` of `/proc/PID/status`. */
export function residentKib(status: string): number | undefined {
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1];
  return kib === undefined ? undefined : Number(kib);
}

/** MiB that the driver counts for these processes, in lines of `pid, used`; null where it counts none. */
export function graphicsMemoryOf(output: string, pids: ReadonlySet<number>): number | null {
  let total = 0;
  for (const line of output.split("\n")) {
    const [pid, used] = line.split(",").map((cell) => cell.trim());
    if (pids.has(Number(pid)) && /^\d+$/.test(used ?? "")) total += Number(used);
  }
  return total === 0 ? null : total;
}
