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
