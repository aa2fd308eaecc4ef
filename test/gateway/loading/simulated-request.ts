import type { WaitOutcome } from "../../../src/gateway/loading/scheduler-state.ts";

export interface Request {
  readonly id: string;
  readonly modelId: string;
  readonly principal: string;
  readonly arrivedAtMs: number;
  readonly deadlineAtMs: number;
  readonly serveMs: number;
  state: "waiting" | "in-flight" | "over";
  outcome: WaitOutcome["kind"] | null;
  neuron: string;
  grantedAtMs: number;
  /** Times it was released. */
  released: number;
}
