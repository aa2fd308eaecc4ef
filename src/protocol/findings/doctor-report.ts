/** `ok`: looked at, and well; `note`: not looked at, and why; `warning`: works, and may not for long; `problem`: does not work. */
export type FindingStatus = "ok" | "note" | "warning" | "problem";

/** One thing that was looked at. */
export interface Finding {
  /** What was looked at, from a closed list: "driver", "port", "clock". */
  readonly check: string;
  /** The device, port, file or neuron; empty where there is one only. */
  readonly subject: string;
  readonly status: FindingStatus;
  readonly message: string;
  /** A command, or what to do; with every warning and problem. */
  readonly mend?: string;
}

/** `cortex doctor --json`. */
export interface DoctorReport {
  readonly healthy: boolean;
  readonly version: string;
  readonly host: string;
  readonly findings: readonly Finding[];
}
