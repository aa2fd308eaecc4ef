import { getHeapSpaceStatistics } from "node:v8";
import { describe, expect, test } from "vitest";
import { Roster, type Seat } from "../../src/core/roster.ts";

const membersOf = <Item>(roster: Roster<Item>): readonly Item[] => {
  const members: Item[] = [];
  roster.forEach((item) => members.push(item));
  return members;
};

const oldBytes = (): number =>
  getHeapSpaceStatistics()
    .filter(({ space_name: name }) => name === "old_space")
    .reduce((sum, { space_used_size: bytes }) => sum + bytes, 0);

interface Held {
  readonly holds: readonly number[];
}

const held = (): Held => ({ holds: Array.from({ length: 100 }, (_, at) => at) });

/** Fills the young generation some times over: what was there before is old afterwards. */
function growOld(): void {
  for (let round = 0; round < 60_000; round += 1) held();
}

/** How much grew old, at most, while many came and went, 32 of them there at a time. */
function grownOldMb(add: (item: Held) => () => void): number {
  const before = oldBytes();
  const leaving: (() => void)[] = [];
  let most = before;
  for (let round = 0; round < 60_000; round += 1) {
    leaving.push(add(held()));
    if (leaving.length > 32) leaving.shift()?.();
    if (round % 100 === 0) most = Math.max(most, oldBytes());
  }
  return (most - before) / 1e6;
}

describe("a roster", () => {
  test("holds who came and has not left, whoever leaves first", () => {
    const roster = new Roster<string>();
    const [anna, , clara, dora] = ["anna", "bert", "clara", "dora"].map((name) => roster.add(name));
    roster.remove(anna as Seat<string>);
    roster.remove(dora as Seat<string>);
    roster.remove(clara as Seat<string>);
    expect(membersOf(roster)).toStrictEqual(["bert"]);
    expect(roster.size).toBe(1);
  });

  test("is not harmed by somebody who leaves twice", () => {
    const roster = new Roster<string>();
    const seat = roster.add("anna");
    roster.remove(seat);
    roster.add("bert");
    roster.remove(seat);
    expect(membersOf(roster)).toStrictEqual(["bert"]);
  });

  test("gives everybody a turn who stays, though others leave and come meanwhile", () => {
    const roster = new Roster<number>();
    const seats = Array.from({ length: 20 }, (_, number) => roster.add(number));
    const seen = new Set<number>();
    roster.forEach((number) => {
      seen.add(number);
      const seat = seats[number];
      if (number % 2 === 1 && seat !== undefined) roster.remove(seat);
      roster.add(100 + number);
    });
    expect([...seen].toSorted((one, other) => one - other)).toStrictEqual(seats.map((_, number) => number));
    expect(membersOf(roster).filter((number) => number < 100)).toHaveLength(10);
  });

  // With a Set in its place 30 MB of these get old, in a process of its own.
  test("lets what has left die young", () => {
    const roster = new Roster<Held>();
    growOld();
    const grown = grownOldMb((item) => {
      const seat = roster.add(item);
      return () => {
        roster.remove(seat);
      };
    });
    expect(grown).toBeLessThan(4);
  });
});
