import type { Fleet } from "../../../fleet/schema/fleet-schema.ts";
import type { DesiredModel } from "../../intent/desired-models.ts";
import type { Shares } from "../../observe/device-memory.ts";
import type { ModelNeed } from "../../intent/model-needs.ts";
import type { ObservedFleet } from "../../observe/observed-fleet.ts";
import type { JudgedCopy } from "../../intent/present-copies.ts";

/** The contract of placement: what it is given and what it answers. All memory is whole MiB. */
export interface PlacementInput {
  readonly fleet: Fleet;
  readonly observed: ObservedFleet;
  readonly desired: ReadonlyMap<string, DesiredModel>;
  readonly copies: readonly JudgedCopy[];
  readonly options?: PlacementOptions;
}

export interface PlacementOptions extends PlacementHint {
  /** Kept free on every device; 0 by default. */
  readonly headroomMib?: number;
  /** False: no explanations and no bound, for callers that only ask what would fit (what-if, N-1). */
  readonly explain?: boolean;
  /** True: what is unplaced is named and no more, for callers that ask again where it matters. */
  readonly nameOnly?: boolean;
  /** Models to be explained in full however many are unplaced; of a large fleet the others are named only. */
  readonly explainFully?: readonly string[];
}

/** What is known of a placement from elsewhere. */
export interface PlacementHint {
  /** Another placement of the same fleet, taken when it turns out to be better. */
  readonly suggestion?: readonly SuggestedCopy[] | undefined;
  /** What no placement of the same fleet can beat, tier by tier, and how many copies that fleet wants. */
  readonly proof?: { readonly tiers: readonly number[]; readonly copies: number } | undefined;
}

/** A copy of a model and where somebody would put it; devices as the neuron counts them. */
export interface SuggestedCopy {
  readonly modelId: string;
  readonly neuron: string;
  readonly devices: readonly number[];
}

/** One declared copy and its place: plain data. `Placement.explain` says why it is there. */
export interface Assignment {
  readonly modelId: string;
  /** 0 for the first copy of the model. */
  readonly ordinal: number;
  readonly neuron: string;
  /** Ascending device indices; `deviceMib` in the same order. */
  readonly devices: readonly number[];
  readonly deviceMib: readonly number[];
  /**
   * "kept": loaded here and stays as it is. "outdated": likewise, with old settings, because the new ones fit
   * nowhere. "renewed": loaded here, comes back with new settings. "moved": loaded elsewhere before. "new": was not
   * loaded.
   */
  readonly status: "kept" | "outdated" | "renewed" | "moved" | "new";
  /** The neuron it leaves; null unless `status` is "moved". */
  readonly movedFrom: string | null;
  readonly need: ModelNeed;
}

export interface ExplainedAssignment extends Assignment {
  readonly reason: WhyHere;
}

/** Copies that may be on neurons which do not answer: neither loaded again nor counted as missing. */
export interface UnknownCopies {
  readonly modelId: string;
  readonly replicas: number;
  readonly neurons: readonly string[];
}

/** Why a copy is where it is: the first rule that told its place from the next best one. */
export interface WhyHere {
  readonly rule:
    | "stays"
    | "only_place"
    | "spares_on_demand_room"
    | "most_free"
    | "tightest_fit"
    | "weight"
    | "fewest_models"
    | "tie_break"
    /** Chosen together with the other copies; beside them as they stand now, another place would do as well. */
    | "joint_fit";
  /** Neurons that could hold it with everything else where it is, this one included. */
  readonly possible: number;
  /** The next best of them. */
  readonly runnerUp: { readonly neuron: string; readonly freeAfterMib: number } | null;
  readonly freeAfterMib: number;
  /** Why the other neurons are out of the question; null for a copy that stays, for which none was asked. */
  readonly ruledOut: NeuronsRuledOut | null;
  /** The model for which it left its old place; null when it did not, or left for another reason. */
  readonly movedFor: string | null;
  /** Models that give way to it on this neuron. */
  readonly displaces: readonly string[];
}

/** How many other neurons cannot take a copy, by the first reason. */
export interface NeuronsRuledOut {
  readonly silent: number;
  /** By pins, drains, harness or devices. */
  readonly unqualified: number;
  readonly holdsCopy: number;
  /** With everything else where it is. */
  readonly noRoom: number;
}

export interface Arrival {
  readonly modelId: string;
  readonly neuron: string;
  readonly shares: Shares;
}

export interface Departure {
  readonly modelId: string;
  readonly neuron: string;
  /** The model that it gives way to. */
  readonly inFavourOf: string;
}

/**
 * How far a placement can be from the best. Tiers are compared in order (class by class: loaded copies that keep
 * a place, models with a copy, copies), so the first that is not proved to be as good as can be states the gap.
 */
export interface PlacementGap {
  readonly kind: "optimal" | "within" | "unknown";
  /** 0 when optimal, null when unknown; 100 * (bound - placed) / bound, rounded up to a thousandth. */
  readonly percent: number | null;
  /** What `placed` and `bound` count, of some class and higher: loaded copies that keep a place, models with a copy, or copies. */
  readonly counts: "loaded" | "models" | "copies";
  readonly placed: number;
  /** No placement as good in all earlier tiers has more. */
  readonly bound: number | null;
  /** What proved it: "heuristic", "heuristic + pattern bound", "exact search", "highs". */
  readonly engine: string;
}

export interface Placement {
  /** Every declared copy that has a place, by model id, then ordinal. */
  readonly assignments: readonly Assignment[];
  /** The assignments that have to be loaded ("new", "moved", "renewed"), in an order in which they fit. */
  readonly arrivals: readonly Arrival[];
  /** Residents and on-demand models that give way. */
  readonly displaced: readonly Departure[];
  /** Copies with outdated settings that stay as they are, because the new settings fit nowhere. */
  readonly outdated: readonly { readonly modelId: string; readonly neuron: string }[];
  /** One for each model that lacks a copy. */
  readonly explanations: readonly UnplacedExplanation[];
  /** Copies that may be on neurons that do not answer. */
  readonly unknown: readonly UnknownCopies[];
  readonly gap: PlacementGap;
  /**
   * Why one of the assignments is where it is. Worked out when somebody asks, once for each: a fleet of thousands is
   * placed far more often than it is read. Throws for a copy that is not placed there.
   */
  readonly explain: (assignment: Assignment) => WhyHere;
}

export type CheckName =
  | "pinned_on"
  | "drain"
  | "reachable"
  | "accepts_work"
  | "harness"
  | "min_devices"
  | "min_device_vram_mb"
  | "capacity"
  | "one_copy"
  | "memory";

/** One question put to one neuron. All are asked, whatever the earlier ones answered, as far as the neuron answers. */
export interface Check {
  readonly check: CheckName;
  readonly ok: boolean;
  /** How far inside (or, negative, outside) the limit: MiB for memory and capacity, devices for min_devices. */
  readonly slack: number | null;
  readonly detail: string;
}

export interface NeuronVerdict {
  readonly neuron: string;
  readonly checks: readonly Check[];
  /** MiB that are lacking when memory is the only thing lacking. */
  readonly shortMib: number | null;
}

/** Somebody in the way. */
export interface Blocker {
  readonly neuron: string;
  readonly modelId: string;
  readonly mib: number;
  readonly priority: number;
  /** Why it does not give way. */
  readonly because:
    | "same_class"
    | "higher_class"
    | "protected"
    | "loaded_by_hand"
    | "other_fleet"
    | "nowhere_to_go";
  /** The most memory free in one place for it elsewhere; null when another neuron could take it. */
  readonly largestHoleMib: number | null;
}

/** Models that cannot be resident together; without any one of them the others fit. */
export interface Conflict {
  readonly models: readonly { readonly modelId: string; readonly copies: number; readonly mib: number }[];
  /** Lines without which they would fit: `pinned_on` of a block, `drain` of a neuron, ... */
  readonly lines: readonly FileLine[];
  readonly needMib: number;
  /** All that the neurons in question could give to these models. */
  readonly haveMib: number;
  readonly neurons: readonly string[];
}

export interface FileLine {
  readonly table: "models" | "neurons";
  readonly id: string;
  readonly key: string;
}

/** A change that lets a copy in, as far as placement can tell; see remedy-trials for the proof. */
export interface Remedy {
  readonly kind:
    | "context"
    | "vram_mb"
    | "min_devices"
    | "min_device_vram_mb"
    | "pinned_on"
    | "drain"
    | "residency_priority"
    | "replicas"
    | "other_replicas"
    | "neuron_back"
    | "resume"
    | "protect"
    | "unload"
    | "foreign_memory"
    | "device";
  readonly line: FileLine | null;
  readonly from: string | null;
  readonly to: string;
  /** Where the copy would go; null when the remedy is to want less. */
  readonly neuron: string | null;
  /** True once the whole fleet was planned with this change and the copy had a place. */
  readonly tried?: boolean;
  /** Models that would lose a copy by it; known once it was tried. */
  readonly costs?: readonly string[];
}

export interface UnplacedExplanation {
  readonly modelId: string;
  readonly missing: number;
  readonly outdated: number;
  readonly need: ModelNeed;
  /** "never": not even on an empty fleet. "not_now": what is in the way is not declared. "joint": declared copies are. */
  readonly layer: "never" | "not_now" | "joint";
  /** True: unplaced like many others; neurons, blockers and remedies were not looked into. */
  readonly brief: boolean;
  /** All neurons, or the nearest misses of a large fleet. */
  readonly verdicts: readonly NeuronVerdict[];
  /** How many neurons fail each check, over all neurons. */
  readonly failures: Readonly<Partial<Record<CheckName, number>>>;
  readonly nearest: NeuronVerdict | null;
  /** The least that would have to leave the place where least would have to. */
  readonly blockers: readonly Blocker[];
  readonly conflict: Conflict | null;
  /** Cheapest first. */
  readonly remedies: readonly Remedy[];
}
