import { expect, test } from "vitest";
import { type LoopFacts, loopFactsOf, loopNews, loopSpan } from "../../../src/cli/top/loop-news.ts";
import { conditionsOf } from "../../../src/controller/reconcile/conditions.ts";
import type { RoundOutcome } from "../../../src/controller/reconcile/round-outcome.ts";
import { loopStatusSchema } from "../../../src/protocol/findings/loop-status.ts";

const COMMIT = "b2c3d4e5f6a7";

/** As a loop serves it and a reader takes it. */
const factsAfter = (outcome: RoundOutcome | undefined): LoopFacts =>
  loopFactsOf(
    loopStatusSchema.parse(
      JSON.parse(
        JSON.stringify({
          conditions: conditionsOf(undefined, outcome, 0),
          last_round: outcome ?? null,
          rounds: 1,
        }),
      ),
    ),
  );

const words = (loop: LoopFacts, live = "a1b2c3d"): string => loopSpan(loop, live).text.trim();

test.each<[RoundOutcome | undefined, string, string | undefined]>([
  [undefined, "loop working: Progressing", "cyan"],
  [{ kind: "in-sync", commit: COMMIT, message: "" }, "loop ready", "green"],
  [
    { kind: "drift-suspected", commit: COMMIT, message: "" },
    "loop working: DriftSuspected at b2c3d4e",
    "cyan",
  ],
  [{ kind: "drifted", commit: COMMIT, message: "" }, "loop waiting: Drifted at b2c3d4e", "yellow"],
  [{ kind: "failed", reason: "FetchFailed", commit: null, message: "" }, "loop working: FetchFailed", "cyan"],
  [
    { kind: "refused", reason: "UntrustedCommit", commit: COMMIT, message: "" },
    "loop stalled: UntrustedCommit at b2c3d4e",
    "red",
  ],
])("%j is shown as %s", (outcome, text, style) => {
  const loop = factsAfter(outcome);
  expect(words(loop)).toBe(text);
  expect(loopSpan(loop, null).style).toBe(style);
});

test("a loop that may change nothing, and one that is silent", () => {
  const untilMs = Date.parse("2026-11-27T22:00:00Z");
  expect(words({ kind: "held", reason: "Suspended", message: "", untilMs })).toBe(
    "loop suspended until 22:00",
  );
  expect(words({ kind: "held", reason: "OutsideWindow", message: "", untilMs: null })).toBe(
    "loop outside window",
  );
  expect(words({ kind: "silent", message: "" })).toBe("loop does not answer");
});

test("what becomes of it is told once, and with its own words", () => {
  const ready = factsAfter({ kind: "in-sync", commit: COMMIT, message: "all is well" });
  const stalled = factsAfter({
    kind: "refused",
    reason: "MassUnload",
    commit: COMMIT,
    message: "too much goes",
  });
  const held: LoopFacts = { kind: "held", reason: "Suspended", message: "suspended by ann", untilMs: null };
  expect(loopNews(null, ready)).toEqual([]);
  expect(loopNews(ready, stalled)).toEqual([
    { tone: "bad", about: "loop", text: "MassUnload: too much goes" },
  ]);
  expect(loopNews(stalled, stalled)).toEqual([]);
  expect(loopNews(null, held)).toMatchObject([{ tone: "warn", text: "Suspended: suspended by ann" }]);
  expect(loopNews(held, null)).toMatchObject([{ tone: "good", text: "may change the fleet again" }]);
});
