import type { ErrorCode } from "../core/errors.ts";
import type { PlanChange } from "./plan-document.ts";
import type { Job, JobState } from "./neuron-api.ts";

/** Why a step did not succeed, in the error table's terms. */
export interface StepError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly next: string;
}

/** What a step took, as far as its neuron tells. */
export interface StepActual {
  /** Files that were fetched for it. */
  readonly download_bytes: number;
  /** Held by the model after it; null when its neuron did not say. */
  readonly vram_mb: number | null;
  /** An earlier run of the plan had done it, and nothing was sent. */
  readonly was_done: boolean;
}

/**
 * What `cortex apply` reports while it works; `--json` writes it as it is, `type` and all. `step` is the id of the plan's
 * change.
 */
export type ApplyEvent =
  /** The change was sent to its neuron. */
  | { readonly type: "step-started"; readonly step: string; readonly change: PlanChange }
  /** Its neuron tells how far it is; several of them in a step. */
  | {
      readonly type: "step-progress";
      readonly step: string;
      /** "busy" while the neuron is asked again later; "probing" while the fresh copy is asked what its block declares. */
      readonly state: JobState | "busy" | "probing";
      /** 0..1 of that state; null when it cannot be told. */
      readonly fraction: number | null;
      /** Why a busy neuron did not take the change, in its own words. */
      readonly reason?: string;
      /** While the model's file is fetched, as its neuron tells it. */
      readonly download?: Job["download"];
      /** Until the model is there, as its neuron expects; absent when nothing tells. */
      readonly eta_secs?: number;
    }
  /** Memory of a neuron's devices while it is changed; only where somebody watches. */
  | {
      readonly type: "devices-read";
      readonly neuron: string;
      readonly devices: readonly {
        readonly index: number;
        readonly vram_used_mb: number;
        readonly vram_total_mb: number;
      }[];
    }
  /** The change is made. */
  | {
      readonly type: "step-done";
      readonly step: string;
      readonly duration_ms: number;
      /** What the plan expected; null when it could not tell. */
      readonly predicted_secs: number | null;
      readonly actual: StepActual;
    }
  /** The change was begun and is not made. */
  | {
      readonly type: "step-failed";
      readonly step: string;
      readonly error: StepError;
      readonly duration_ms: number;
    }
  /** The change was not begun: something that it needs is not there. */
  | { readonly type: "step-skipped"; readonly step: string; readonly reason: string };

export interface AppliedStep {
  readonly step: string;
  readonly duration_ms: number;
  readonly actual: StepActual;
}

/** What became of every change of the plan; each is in exactly one of the lists. */
export interface ApplyResult {
  readonly applied: readonly AppliedStep[];
  readonly failed: readonly { readonly step: string; readonly error: StepError }[];
  readonly not_started: readonly { readonly step: string; readonly reason: string }[];
  /** After a second interruption: what nobody waited for; its neurons finish or drop it on their own. */
  readonly still_running?: readonly string[];
  /** Somebody stopped it. */
  readonly interrupted: boolean;
  /** The time that it may take in all was over. */
  readonly timed_out: boolean;
  /** It may not change the fleet any more: the lock is lost, or a neuron has obeyed a newer apply. */
  readonly superseded: boolean;
  readonly duration_ms: number;
}
