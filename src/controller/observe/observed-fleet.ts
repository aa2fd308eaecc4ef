import type { StepRecord } from "../../protocol/refs/apply-record.ts";
import type { Discovery, Health, ResidentModel } from "../../protocol/neuron-api.ts";

/** A neuron that answered all three questions. */
export interface ReachableNeuron {
  readonly name: string;
  readonly endpoint: string;
  readonly reachable: true;
  readonly discovery: Discovery;
  readonly health: Health;
  /** Counts the neuron's changes of residency; a change is sent on condition that it has not moved. */
  readonly generation: number;
  readonly models: readonly ResidentModel[];
}

/** A neuron that did not: what is loaded there is unknown, which is not the same as nothing. */
export interface UnreachableNeuron {
  readonly name: string;
  readonly endpoint: string;
  readonly reachable: false;
  /** In words: "connection refused", "no answer within 5 s". */
  readonly problem: string;
}

export type ObservedNeuron = ReachableNeuron | UnreachableNeuron;

/** How often copies are asked, as the gateway counts it. */
export interface ObservedTraffic {
  /** The counts are an average over this time. */
  readonly windowSecs: number;
  readonly copies: readonly {
    readonly neuron: string;
    readonly modelId: string;
    readonly requestsPerMinute: number;
  }[];
}

/** One look at every neuron that the fleet declares, in the order of the fleet. */
export interface ObservedFleet {
  readonly observedAtMs: number;
  readonly neurons: readonly ObservedNeuron[];
  /** Absent when no gateway was asked or none answered. */
  readonly traffic?: ObservedTraffic;
  /** Steps of earlier applies as the history keeps them, the latest first; absent when it was not read. */
  readonly recorded?: readonly StepRecord[];
}

/** Names a copy: a neuron holds at most one of a model. */
export const copyKey = (modelId: string, neuron: string): string => `${modelId}@${neuron}`;

export const reachableNeurons = (observed: ObservedFleet): ReachableNeuron[] =>
  observed.neurons.filter((neuron) => neuron.reachable);
