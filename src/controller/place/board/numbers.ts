import { CortexError } from "../../../core/errors.ts";

/*
 * Placement counts through what it works on, so its numbers are names: of a neuron, a device, a model, an applicant, a
 * guest. One kind is no other, and the compiler knows; at run time they are numbers like any other, and lists and
 * figures by number are plain arrays.
 */

declare const kind: unique symbol;
type NumberOf<Kind extends string> = number & { readonly [kind]: Kind };

export type NeuronNo = NumberOf<"neuron">;
/** Devices are counted through over all neurons; the neuron's own count of them is an index. */
export type DeviceNo = NumberOf<"device">;
export type ModelNo = NumberOf<"model">;
/** Of a wanted copy, which asks for a place or has one. */
export type ApplicantNo = NumberOf<"applicant">;
/** Of a present copy of a model on demand. */
export type GuestNo = NumberOf<"guest">;

/** What is known of each of a kind: the position is the number. Only numbers of that kind find something in it. */
export type ByNo<No extends number, Item> = { readonly [Number in No]: Item } & Numbered<No, Item>;

interface Numbered<No extends number, Item> extends Iterable<Item> {
  readonly length: number;
  keys(): ArrayIterator<No>;
  entries(): ArrayIterator<[No, Item]>;
  map<Out>(make: (item: Item, no: No) => Out): Out[];
  flatMap<Out>(make: (item: Item, no: No) => Out | readonly Out[]): Out[];
  filter(isWanted: (item: Item, no: No) => boolean): Item[];
  every(holds: (item: Item, no: No) => boolean): boolean;
  reduce<Out>(add: (total: Out, item: Item, no: No) => Out, start: Out): Out;
}

/** The same of numbers, in a typed array, and read only. */
export type Figures<No extends number> = { readonly [Number in No]: number } & NumberedFigures<No>;

interface NumberedFigures<No extends number> extends Iterable<number> {
  readonly length: number;
  keys(): ArrayIterator<No>;
  entries(): ArrayIterator<[No, number]>;
  reduce(add: (total: number, figure: number) => number, start: number): number;
}

/** Says of which kind the positions of a list are. */
export const byNo = <No extends number, Item>(items: readonly Item[]): ByNo<No, Item> =>
  items as unknown as ByNo<No, Item>;

/** The same of a typed array. */
export const figures = <No extends number>(values: Int32Array | Uint8Array): Figures<No> =>
  values as unknown as Figures<No>;

/** 1 for each of whom it holds. */
export const flagsOf = <No extends number, Item>(
  items: ByNo<No, Item>,
  holds: (item: Item, no: No) => boolean,
): Figures<No> => figures(Uint8Array.from(items.map((item, no) => (holds(item, no) ? 1 : 0))));

/** The number after this one. */
export const next = <No extends number>(no: No): No => (no + 1) as No;

/** The figure of a number. One that nobody counted is a defect. */
export function at<No extends number>(values: Figures<No>, no: NoInfer<No>): number {
  const figure = values[no];
  if (figure === undefined) throw unknownNumber(no);
  return figure;
}

/** The item of a number, for lists that have one for each. */
export function itemAt<No extends number, Item>(items: ByNo<No, Item>, no: NoInfer<No>): NonNullable<Item> {
  const item = items[no];
  if (item === undefined || item === null) throw unknownNumber(no);
  return item;
}

const unknownNumber = (no: number): CortexError =>
  new CortexError("internal_error", `placement asks for number ${no}, which nobody has`);
