import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { AnswerShelf } from "../../../src/gateway/dialect/contract/answer-shelf.ts";

const LIMITS = { mostBytes: 600, mostBytesOfOne: 300, ttlMs: 1000 };

const turn = fc.record({
  owner: fc.constantFrom("a", "b"),
  /** Which of the owner's answers it goes on from; none where there are fewer. */
  from: fc.option(fc.nat(5), { nil: null }),
  size: fc.nat(350),
  waitMs: fc.nat(600),
});

interface Said {
  readonly owner: string;
  readonly id: string;
  /** All that was said up to it. */
  readonly items: readonly unknown[];
}

describe("what is kept of answers", () => {
  test("is all that was said or nothing, for its owner alone, within its bounds", () => {
    fc.assert(
      fc.property(fc.array(turn, { maxLength: 20 }), (turns) => {
        const shelf = new AnswerShelf(LIMITS);
        const said: Said[] = [];
        let nowMs = 0;
        for (const [number, { owner, from, size, waitMs }] of turns.entries()) {
          nowMs += waitMs;
          const memory = shelf.memoryOf(owner, () => nowMs);
          const before = from === null ? undefined : said.filter((one) => one.owner === owner)[from];
          const earlier = before === undefined ? [] : memory.conversation(before.id);
          const items = [{ id: `item-${number}`, text: "x".repeat(size) }];
          const id = `resp-${number}`;
          memory.keep({ id, previousId: before?.id ?? null, items });
          if (earlier !== null) said.push({ owner, id, items: [...earlier, ...items] });
          expect(shelf.bytes).toBeLessThanOrEqual(LIMITS.mostBytes);
        }
        for (const { owner, id, items } of said) {
          const kept = shelf.memoryOf(owner, () => nowMs).conversation(id);
          expect([null, JSON.stringify(items)]).toContain(kept === null ? null : JSON.stringify(kept));
          expect(shelf.memoryOf("stranger", () => nowMs).conversation(id)).toBeNull();
        }
      }),
    );
  });

  test("an answer goes an hour after it was last asked for, and an item with it", () => {
    const shelf = new AnswerShelf(LIMITS);
    let nowMs = 0;
    const memory = shelf.memoryOf("a", () => nowMs);
    memory.keep({ id: "r1", previousId: null, items: [{ id: "m1" }] });
    nowMs = 900;
    expect(memory.conversation("r1")).toEqual([{ id: "m1" }]);
    nowMs = 1800;
    expect(memory.item("m1")).toEqual({ id: "m1" });
    nowMs = 2000;
    expect(memory.item("m1")).toBeUndefined();
    expect(shelf.bytes).toBe(0);
  });

  test("an answer that is kept twice counts once, and nobody's takes the place of another's", () => {
    const shelf = new AnswerShelf(LIMITS);
    const of = (owner: string) => shelf.memoryOf(owner, () => 0);
    of("a").keep({ id: "r1", previousId: null, items: ["x".repeat(100)] });
    of("a").keep({ id: "r1", previousId: null, items: ["y".repeat(50)] });
    expect(shelf.bytes).toBe(Buffer.byteLength(JSON.stringify(["y".repeat(50)])));
    of("b").keep({ id: "r1", previousId: null, items: ["b"] });
    expect(of("b").conversation("r1")).toBeNull();
    expect(of("a").conversation("r1")).toEqual(["y".repeat(50)]);
  });

  test("one owner's answers push out nobody else's, and the longest unused go first", () => {
    const shelf = new AnswerShelf(LIMITS);
    const of = (owner: string) => shelf.memoryOf(owner, () => 0);
    of("b").keep({ id: "b1", previousId: null, items: ["b"] });
    for (const id of ["a1", "a2", "a3"]) of("a").keep({ id, previousId: null, items: ["x".repeat(120)] });
    expect(of("a").conversation("a1")).toBeNull();
    expect(of("a").conversation("a2")).not.toBeNull();
    expect(of("b").conversation("b1")).toEqual(["b"]);
    of("a").keep({ id: "a4", previousId: null, items: ["x".repeat(400)] });
    expect(of("a").conversation("a4")).toBeNull();
  });
});
