import type { Finding } from "../protocol/findings/doctor-report.ts";

/** What is looked at. */
export type Check =
  | "node"
  | "engine"
  | "driver"
  | "cuda-visibility"
  | "device-permissions"
  | "data-directory"
  | "model-root"
  | "token-file"
  | "certificate"
  | "port"
  | "fleet-files"
  | "neuron"
  | "gateway"
  | "gateway-keys"
  | "version"
  | "clock";

interface Subject {
  readonly check: Check;
  readonly subject?: string;
}

const about = ({ check, subject = "" }: Subject): Pick<Finding, "check" | "subject"> => ({ check, subject });

export const well = (subject: Subject, message: string): Finding => ({
  ...about(subject),
  status: "ok",
  message,
});

export const note = (subject: Subject, message: string): Finding => ({
  ...about(subject),
  status: "note",
  message,
});

export const warning = (subject: Subject, message: string, mend: string): Finding => ({
  ...about(subject),
  status: "warning",
  message,
  mend,
});

export const problem = (subject: Subject, message: string, mend: string): Finding => ({
  ...about(subject),
  status: "problem",
  message,
  mend,
});
