/** A part of a card that MIG has made: a device of its own, with its own memory. */
export interface Partition {
  readonly cardUuid: string;
  /** On its card, from 0. */
  readonly index: number;
  /** What CUDA_VISIBLE_DEVICES takes. */
  readonly uuid: string;
  /** Such as `3g.20gb`. */
  readonly profile: string;
  readonly totalMib: number;
  readonly usedMib: number;
  readonly freeMib: number;
}

/** A process sees one partition and no other device beside it, so each has an index of its own far from the cards'. */
const PARTITION_INDEX_STEP = 100;

/** Of partition 2 on card 1 it is 202: the same whichever other cards are there. */
export const partitionIndex = (card: number, partition: number): number =>
  (card + 1) * PARTITION_INDEX_STEP + partition;

/**
 * Reads what `nvidia-smi -L` and `nvidia-smi -q -x` say together: the one has the names that CUDA takes, the other the
 * memory. What only one of them has is left out.
 */
export function readPartitions(listing: string, report: string): readonly Partition[] {
  const names = readNames(listing);
  return blocks(report, "gpu").flatMap((card) => {
    // Inside the blocks of partitions no uuid stands in the versions at hand; the card's own is outside of them.
    const cardUuid = one(without(card, "mig_devices"), "uuid");
    if (cardUuid === null) return [];
    return blocks(card, "mig_device").flatMap((part): readonly Partition[] => {
      const index = figure(one(part, "index"));
      const [memory = ""] = blocks(part, "fb_memory_usage");
      const totalMib = figure(one(memory, "total"));
      const name = names.find((known) => known.cardUuid === cardUuid && known.index === index);
      if (index === null || totalMib === null || name === undefined) return [];
      const usedMib = Math.min(totalMib, figure(one(memory, "used")) ?? 0);
      const freeMib = figure(one(memory, "free")) ?? totalMib - usedMib;
      return [{ ...name, totalMib, usedMib, freeMib }];
    });
  });
}

type Name = Pick<Partition, "cardUuid" | "index" | "uuid" | "profile">;

const CARD_LINE = /^GPU \d+: .*\(UUID: (\S+)\)\s*$/;
const PARTITION_LINE = /^\s+MIG\s+(\S+)\s+Device\s+(\d+):\s+\(UUID: (\S+)\)\s*$/;

function readNames(listing: string): readonly Name[] {
  const names: Name[] = [];
  let cardUuid: string | undefined;
  for (const line of listing.split(/\r?\n/)) {
    cardUuid = CARD_LINE.exec(line)?.[1] ?? cardUuid;
    const [, profile, index, uuid] = PARTITION_LINE.exec(line) ?? [];
    if (cardUuid === undefined || profile === undefined || uuid === undefined) continue;
    names.push({ cardUuid, index: Number(index), uuid, profile });
  }
  return names;
}

/** The contents of all elements of a name; the driver writes no element inside another one of the same name. */
const blocks = (text: string, name: string): readonly string[] =>
  [...text.matchAll(new RegExp(`<${name}(?: [^>]*)?>([\\s\\S]*?)</${name}>`, "g"))].map(
    ([, content = ""]) => content,
  );

const one = (text: string, name: string): string | null => blocks(text, name)[0]?.trim() ?? null;

const without = (text: string, name: string): string =>
  text.replaceAll(new RegExp(`<${name}>[\\s\\S]*?</${name}>`, "g"), "");

/** "19968 MiB", "0". */
const figure = (text: string | null): number | null => {
  const [, digits] = /^(\d+)(?: MiB)?$/.exec(text ?? "") ?? [];
  return digits === undefined ? null : Number(digits);
};
