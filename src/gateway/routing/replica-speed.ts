import type { DeviceKind, ResidentModel } from "../../protocol/neuron-api.ts";
import type { NeuronView } from "../view/fleet-view.ts";

/** What is thought of a kind of device until something was measured: how they stand to each other is what counts. */
const PRESUMED: Readonly<Record<DeviceKind, number>> = {
  cuda: 10,
  metal: 5,
  vulkan: 5,
  simulated: 5,
  unknown: 5,
  cpu: 1,
};

/** Answers that are shorter tell of their prompts, and of chance. */
const LEAST_TOKENS = 8;
/** What one answer weighs. */
const WEIGHT = 0.3;

/** A model on a machine without a GPU has no device, or the processor. */
export function presumedSpeed({ discovery }: NeuronView, { devices }: ResidentModel): number {
  const known = (discovery?.devices ?? []).filter(({ index }) => devices.includes(index));
  return presumedOf(known.map(({ kind }) => kind));
}

/** The slowest of its devices holds a model up. */
export const presumedOf = (kinds: readonly DeviceKind[]): number =>
  kinds.length === 0 ? PRESUMED.unknown : Math.min(...kinds.map((kind) => PRESUMED[kind]));

/** Tokens a second of one answer; null for one that is too short to tell. */
export function answerSpeed(answer: { readonly tokens: number; readonly tookMs: number }): number | null {
  const { tokens, tookMs } = answer;
  return tokens < LEAST_TOKENS || tookMs <= 0 ? null : (tokens * 1000) / tookMs;
}

/** A copy that has more to do gives each answer less, so what is measured draws the shares together, not apart. */
export const afterAnswer = (before: number | undefined, tokensPerSec: number): number =>
  before === undefined ? tokensPerSec : before + WEIGHT * (tokensPerSec - before);

export interface CopySpeed {
  /** Tokens a second of its answers of late. */
  readonly measured: number | null;
  readonly presumed: number;
}

/** Speeds that can be compared: what was not measured stands to what was as its kind does to theirs. */
export function comparableSpeeds(copies: readonly CopySpeed[]): readonly number[] {
  const ratios = copies.flatMap(({ measured, presumed }) => (measured === null ? [] : [measured / presumed]));
  const scale = ratios.length === 0 ? 1 : ratios.reduce((sum, ratio) => sum + ratio, 0) / ratios.length;
  return copies.map(({ measured, presumed }) => measured ?? presumed * scale);
}
