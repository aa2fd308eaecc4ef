import { compareText } from "../../core/order.ts";
import type { ModelSpec } from "../../protocol/neuron-api.ts";
import type { Shares, SizeSource } from "../observe/device-memory.ts";
import { copyKey } from "../observe/observed-fleet.ts";
import type { Duration } from "./load-duration.ts";

/** Why a change is wanted, by name: for people. What follows from it is in the role. */
export type ChangeReason =
  /** A declared copy is missing. */
  | "declared_not_loaded"
  /** A copy that another neuron can no longer hold comes here. */
  | "moved"
  /** cortex loaded it, and no block declares it. */
  | "loaded_not_declared"
  /** More copies are loaded than declared. */
  | "replicas_lowered"
  /** Loaded with other settings than declared. */
  | "spec_changed"
  /** `pinned_on` no longer names the neuron. */
  | "pin_changed"
  /** The devices no longer meet min_devices or min_device_vram_mb. */
  | "requirements_changed"
  /** `drain = true`. */
  | "neuron_drained"
  /** Gives way to a model of the same or a higher class. */
  | "makes_room"
  /** A copy that serves only while its model moves: memory on both sides is full. */
  | "parked"
  /** The parked copy has done its work. */
  | "parking_ended";

/** What is done to one copy, before it is known when it happens and what it costs. */
export interface Change {
  /** Unique in a plan: `load Qwen/Qwen3-8B@beast`, and `load Qwen/Qwen3-8B@beast again`. */
  readonly id: string;
  readonly modelId: string;
  readonly neuron: string;
  /** A replacement is an unload, then a load. */
  readonly kind: "load" | "unload" | "replace";
  readonly reason: ChangeReason;
  /** The reason in words. */
  readonly detail: string;
  /** The copy that is taken down has `protect = true`, or may have had it. */
  readonly isProtected: boolean;
  /** Ascending device indices; `deviceMib` in the same order: what is taken there (an unload: freed). */
  readonly devices: readonly number[];
  readonly deviceMib: readonly number[];
  readonly beforeMib: number;
  readonly afterMib: number;
  /** Of the copy that is loaded, or of the one that leaves when nothing is loaded. */
  readonly sizeSource: SizeSource;
  readonly duration: Duration;
  /** What to load; null for an unload. */
  readonly spec: ModelSpec | null;
}

/**
 * What a change means for its model: who waits for whom, who comes back, what ends a parking. It is set where the
 * change is drafted; the reason of a change is for people, and decides nothing.
 */
export type Role =
  /** Loads a copy that was nowhere before. */
  | "adds"
  /** Loads a copy that leaves its place or left it: on another neuron, or on its own with other devices or settings. */
  | "comes_back"
  /** Replaces a copy where it stands: old settings out, new ones in. */
  | "renews"
  /** Unloads a copy that is still wanted: once another one serves, if memory allows. */
  | "hands_over"
  /** Unloads a copy that is wanted no more, and that none takes over from. */
  | "leaves_for_good"
  /** Loads a copy that serves only while its model moves. */
  | "parks"
  /** Unloads the parked copy, once its model serves from its own place. */
  | "ends_parking";

const KINDS: Readonly<Record<Role, Change["kind"]>> = {
  adds: "load",
  comes_back: "load",
  renews: "replace",
  hands_over: "unload",
  leaves_for_good: "unload",
  parks: "load",
  ends_parking: "unload",
};

/** A change that is wanted, with what decides when it can happen. */
export interface Draft {
  readonly role: Role;
  readonly change: Change;
  /** Residency class of the model. */
  readonly priority: number;
  /** MiB per device that the change frees, and that it takes. Over several devices: as placement thinks it will. */
  readonly frees: Shares;
  readonly takes: Shares;
  /** For what takes memory: the place in the order in which placement filled the devices. */
  readonly rank: number;
  /** False when what it takes is a guess: it then waits for everything that leaves its devices. */
  readonly sizeKnown: boolean;
  /** Requests that the copy works on, that wait for it, and that come in a minute. */
  readonly use: number;
  readonly lastUsedMs: number;
  /** The model that its copy gives way to. */
  readonly inFavourOf?: string | undefined;
}

export interface ParkingPlace {
  readonly neuron: string;
  readonly devices: readonly number[];
}

/** Where a model could stand for a while: neurons and devices that its block allows, whatever is on them now. */
export interface ParkingOption {
  readonly mib: number;
  readonly places: () => readonly ParkingPlace[];
  /** The row of the parked copy, and of its end; filled in by whoever knows rows. */
  readonly draftsOn: (place: { readonly neuron: string; readonly device: number }) => {
    readonly load: Draft;
    readonly unload: Draft;
  };
}

export interface ScheduledStep {
  readonly draft: Draft;
  /** Ids of steps that must have succeeded before it starts. */
  readonly dependsOn: readonly string[];
  /** Why it takes its copy down before a successor is ready, where that was a choice. */
  readonly interruption: string | undefined;
}

export interface TransitionSchedule {
  /** In an order that can be carried out; the steps of one neuron keep it. */
  readonly steps: readonly ScheduledStep[];
  readonly deferred: readonly DeferredDraft[];
}

export interface DeferredDraft {
  readonly draft: Draft;
  readonly reason: string;
}

/** MiB free before anything happens, by neuron and device. */
export type FreeMemory = ReadonlyMap<string, Shares>;

/** In people's words: for whom a copy leaves. */
export const roomFor = (modelId: string): string => `makes room for ${modelId}`;

export const isLoad = ({ change }: Draft): boolean => change.kind === "load";
export const isUnload = ({ change }: Draft): boolean => change.kind === "unload";
export const isReplace = ({ change }: Draft): boolean => change.kind === "replace";

/** The engine spreads such a model in proportion to what is free when it is loaded. */
export const isSpread = ({ takes, sizeKnown }: Draft): boolean => sizeKnown && takes.size > 1;

export const sameModel = (left: Draft, right: Draft): boolean => left.change.modelId === right.change.modelId;

export const sameNeuron = (left: Draft, right: Draft): boolean => left.change.neuron === right.change.neuron;

/** The end of a parked copy that this plan loads itself. */
export const endsParking = ({ role }: Draft): boolean => role === "ends_parking";

/** Its copy may leave only once another one serves. */
export const needsSuccessor = ({ role }: Draft): boolean => role === "hands_over" || role === "ends_parking";

/** What a change is called, and what it does, by its role. */
export function identify(of: { readonly role: Role; readonly modelId: string; readonly neuron: string }) {
  const kind = KINDS[of.role];
  const { modelId, neuron } = of;
  return { id: `${kind} ${copyKey(modelId, neuron)}`, modelId, neuron, kind };
}

/** What a change is called the first time in a plan, the second and the third. */
export function namesOf({ role, change: { modelId, neuron } }: Draft): readonly string[] {
  const { id } = identify({ role, modelId, neuron });
  return [id, `${id} again`, `${id} a third time`];
}

/** A model cannot be loaded twice on a neuron: its new copy waits for the old one even if both would fit. */
export const takesDown = (unload: Draft, load: Draft): boolean =>
  isUnload(unload) &&
  isLoad(load) &&
  sameModel(unload, load) &&
  sameNeuron(unload, load) &&
  !endsParking(unload);

export const byId = (left: Draft, right: Draft): number => compareText(left.change.id, right.change.id);
