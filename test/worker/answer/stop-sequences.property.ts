import fc from "fast-check";
import { expect, test } from "vitest";
import { createStopMatcher } from "../../../src/worker/answer/stop-sequences.ts";
import { cutText } from "../../support/cuts.ts";

const text = fc.string({ unit: fc.constantFrom("a", "b", "c", "\n"), maxLength: 30 });
const stops = fc.array(fc.string({ unit: fc.constantFrom("a", "b", "c", "\n"), maxLength: 4 }), {
  maxLength: 3,
});

function run(pieces: readonly string[], stopList: readonly string[]) {
  const matcher = createStopMatcher(stopList);
  let shown = "";
  for (const piece of pieces) {
    const step = matcher.push(piece);
    shown += step.text;
    if (step.stop !== null) return { shown, stopped: true };
  }
  return { shown: shown + matcher.end(), stopped: false };
}

test("the cuts never change what is shown or whether it stopped", () => {
  fc.assert(
    fc.property(cutText(text), stops, (pieces, stopList) => {
      expect(run(pieces, stopList)).toEqual(run(pieces.join("").split(""), stopList));
    }),
  );
});

test("what is shown is a prefix, holds no stop string, and is all of it when none occurs", () => {
  fc.assert(
    fc.property(cutText(text), stops, (pieces, stopList) => {
      const whole = pieces.join("");
      const wanted = stopList.filter((stop) => stop !== "");
      const { shown, stopped } = run(pieces, stopList);
      expect(whole.startsWith(shown)).toBe(true);
      expect(wanted.some((stop) => shown.includes(stop))).toBe(false);
      expect(stopped).toBe(wanted.some((stop) => whole.includes(stop)));
      expect(stopped || shown === whole).toBe(true);
    }),
  );
});

test("held back is never more than a stop string could still need", () => {
  fc.assert(
    fc.property(cutText(text), stops, (pieces, stopList) => {
      const matcher = createStopMatcher(stopList);
      const longest = Math.max(0, ...stopList.map((stop) => stop.length - 1));
      let pushed = 0;
      let shown = 0;
      for (const piece of pieces) {
        const step = matcher.push(piece);
        pushed += piece.length;
        shown += step.text.length;
        if (step.stop !== null) return;
        expect(pushed - shown).toBeLessThanOrEqual(longest);
      }
    }),
  );
});
