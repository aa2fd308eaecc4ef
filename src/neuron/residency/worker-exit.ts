/** How a worker process ended. */
export interface WorkerExit {
  readonly code: number | null;
  readonly signal: string | null;
  readonly lastLogLines: readonly string[];
}

export const exitDetails = (exit: WorkerExit) => ({
  exit_code: exit.code,
  signal: exit.signal,
  last_log_lines: exit.lastLogLines,
});

/** "was killed by SIGKILL", "exited with code 1". */
export const describeExit = (exit: WorkerExit): string =>
  exit.signal === null ? `exited with code ${exit.code ?? "unknown"}` : `was killed by ${exit.signal}`;

/** Signals that the system sends for what a process itself did. */
const OWN_FAULTS: ReadonlySet<string> = new Set([
  "SIGABRT",
  "SIGBUS",
  "SIGFPE",
  "SIGILL",
  "SIGSEGV",
  "SIGSYS",
  "SIGTRAP",
]);

/** Not killed by somebody: an operator, or a system that is out of memory. */
export const diedByItself = (exit: WorkerExit): boolean =>
  exit.signal === null || OWN_FAULTS.has(exit.signal);
