import type { PlanAssignment, PlanChange } from "./plan-document.ts";
import type { PlacementCheck } from "./plan-unplaced.ts";

/** What `cortex why MODEL --json` prints. */
export interface WhyReport {
  readonly model_id: string;
  /** Null when no block declares the model. */
  readonly declared: {
    readonly replicas: number;
    readonly residency_priority: number;
    readonly pinned_on: readonly string[];
    readonly min_devices: number;
    readonly min_device_vram_mb: number;
    readonly need_mb: number | null;
    /** measured, metadata, declared, similar, unknown. */
    readonly need_source: string;
  } | null;
  /** The answer in one sentence. */
  readonly summary: string;
  /** Every copy that has a place once the plan is carried out, and the rule that put it there. */
  readonly copies: readonly PlanAssignment[];
  /** Loaded copies that nobody asked this plan for, and what becomes of them. */
  readonly others: readonly { readonly neuron: string; readonly detail: string }[];
  readonly missing: number;
  /** Copies that may be on neurons that do not answer. */
  readonly unknown_on: readonly string[];
  readonly changes: readonly Pick<PlanChange, "id" | "detail">[];
  readonly neurons: readonly WhyNeuron[];
  /** What would make room for it, cheapest first. */
  readonly remedies: readonly string[];
}

/** Why a neuron does or does not hold a copy. */
export interface WhyNeuron {
  readonly neuron: string;
  /** `holds`: a copy is there or comes. `could`: would hold one if it were pinned there. `cannot`: some check fails. */
  readonly verdict: "holds" | "could" | "cannot";
  readonly detail: string;
  readonly checks: readonly PlacementCheck[];
  /** Models that would have to give way; only for `could`. */
  readonly displaces: readonly string[];
}
