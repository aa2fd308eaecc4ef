import { compareText } from "../../core/order.ts";
import type { PlanChange, PlanDuration } from "../../protocol/plan-document.ts";
import type { Shares } from "../observe/device-memory.ts";

/** What a row of the plan says before it is known when it happens and what it costs. */
export type DraftChange = Omit<
  PlanChange,
  "depends_on" | "wave" | "downtime" | "download_bytes" | "requests" | "caused_by"
>;

/** A change that is wanted, with what decides about its turn. */
export interface Draft {
  readonly change: DraftChange;
  /** Residency class of the model. */
  readonly priority: number;
  /** MiB per device that the change frees, and that it takes. Over several devices: as placement thinks it will. */
  readonly frees: Shares;
  readonly takes: Shares;
  /** For what takes memory: the place in the order in which placement filled the devices. */
  readonly turn: number;
  /** False when what it takes is a guess: it then waits for everything that leaves its devices. */
  readonly sizeKnown: boolean;
  /** Requests that the copy works on, that wait for it, and that come in a minute. */
  readonly use: number;
  readonly lastUsedMs: number;
}

/** Where a model could stand for a while: neurons and devices that its block allows, whatever is on them now. */
export interface ParkingOption {
  readonly footprintMb: number;
  readonly duration: PlanDuration;
  readonly places: readonly { readonly neuron: string; readonly devices: readonly number[] }[];
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
  /** No ring holds it: the fleet that the other steps leave behind may have a better place for it. */
  readonly retry: boolean;
}

/** MiB free before anything happens, by neuron and device. */
export type FreeMemory = ReadonlyMap<string, Shares>;

export const isLoad = ({ change }: Draft): boolean => change.kind === "load";
export const isUnload = ({ change }: Draft): boolean => change.kind === "unload";
export const isReplace = ({ change }: Draft): boolean => change.kind === "replace";

/** The engine spreads such a model in proportion to what is free when it is loaded. */
export const isSpread = ({ takes, sizeKnown }: Draft): boolean => sizeKnown && takes.size > 1;

export const sameModel = (left: Draft, right: Draft): boolean =>
  left.change.model_id === right.change.model_id;

export const sameNeuron = (left: Draft, right: Draft): boolean => left.change.neuron === right.change.neuron;

/** The end of a parked copy that this plan loads itself. */
export const endsParking = ({ change }: Draft): boolean => change.action_reason === "parking_ended";

/** A model cannot be loaded twice on a neuron: its new copy waits for the old one even if both would fit. */
export const takesDown = (unload: Draft, load: Draft): boolean =>
  isUnload(unload) &&
  isLoad(load) &&
  sameModel(unload, load) &&
  sameNeuron(unload, load) &&
  !endsParking(unload);

export const byId = (left: Draft, right: Draft): number => compareText(left.change.id, right.change.id);
