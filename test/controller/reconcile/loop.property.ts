import fc from "fast-check";
import { expect, test } from "vitest";
import { beginLoop, stepLoop, type LoopEvent } from "../../../src/controller/reconcile/loop.ts";
import type { RoundOutcome } from "../../../src/controller/reconcile/round-outcome.ts";

/** The laws of `loop.ts`, over every order of pushes, alarms and outcomes. */
const outcome = fc.oneof(
  fc.constant<RoundOutcome>({ kind: "in-sync", commit: "a", message: "" }),
  fc.constant<RoundOutcome>({ kind: "failed", reason: "FetchFailed", commit: null, message: "" }),
  fc.constant<RoundOutcome>({ kind: "refused", reason: "UntrustedCommit", commit: "b", message: "" }),
  fc.constant<RoundOutcome>({ kind: "drift-suspected", commit: "a", message: "" }),
);
const happening = fc.oneof(fc.constant("push" as const), fc.constant("time" as const), outcome);
const INTERVAL_MS = 60_000;

type Happening = "push" | "time" | RoundOutcome;

const eventOf = (happening: Happening, chance: number): LoopEvent =>
  typeof happening === "object"
    ? { kind: "round-ended", outcome: happening, chance, nowMs: 0, intervalMs: INTERVAL_MS }
    : { kind: happening === "push" ? "push-announced" : "time-passed" };

/** What a course shows of the laws, counted. */
function run(course: readonly Happening[], chance: number) {
  let { state, effects } = beginLoop(INTERVAL_MS, 0);
  let running = 1;
  let isOwed = false;
  const told: string[] = [];
  const seen = { mostRunning: 1, lostPushes: 0, unfollowed: 0, repeated: 0, longestMs: 0, disagreed: 0 };
  for (const happening of course) {
    const isOutcome = typeof happening === "object";
    if (isOutcome && running === 0) continue;
    isOwed ||= happening === "push" && running > 0;
    ({ state, effects } = stepLoop(state, eventOf(happening, chance)));
    const starts = effects.filter(({ kind }) => kind === "run-round").length;
    const sleeps = effects.flatMap((effect) => (effect.kind === "sleep" ? [effect.forMs] : []));
    running += starts - Number(isOutcome);
    seen.mostRunning = Math.max(seen.mostRunning, running);
    seen.disagreed += Number(state.isRunning !== (running === 1));
    seen.longestMs = Math.max(seen.longestMs, ...sleeps);
    seen.unfollowed += Number(isOutcome && starts + sleeps.length !== 1);
    seen.lostPushes += Number(isOutcome && isOwed && starts === 0);
    isOwed &&= !isOutcome;
    for (const effect of effects) {
      if (effect.kind !== "tell") continue;
      const text = `${effect.outcome.kind} ${effect.conditions.Ready.reason} ${String(effect.outcome.commit)}`;
      seen.repeated += Number(told.at(-1) === text);
      told.push(text);
    }
  }
  return seen;
}

test("one round at a time; each ends in a sleep or another round; an announced push is never forgotten; no news twice", () => {
  const chance = fc.double({ min: 0, max: 1, noNaN: true });
  fc.assert(
    fc.property(fc.array(happening, { maxLength: 40 }), chance, (course, value) => {
      const { longestMs, ...laws } = run(course, value);
      expect(laws).toEqual({ mostRunning: 1, lostPushes: 0, unfollowed: 0, repeated: 0, disagreed: 0 });
      expect(longestMs).toBeLessThanOrEqual(330_000);
    }),
  );
});

test("failures are tried again ever more seldom; a refusal waits for the interval", () => {
  let { state } = beginLoop(INTERVAL_MS, 0);
  const pauses: number[] = [];
  const end = (outcome: RoundOutcome): void => {
    const step = stepLoop(state, {
      kind: "round-ended",
      outcome,
      chance: 0.5,
      nowMs: 0,
      intervalMs: INTERVAL_MS,
    });
    for (const effect of step.effects) if (effect.kind === "sleep") pauses.push(effect.forMs);
    ({ state } = stepLoop(step.state, { kind: "time-passed" }));
  };
  for (let round = 0; round < 7; round += 1)
    end({ kind: "failed", reason: "FetchFailed", commit: null, message: "" });
  end({ kind: "refused", reason: "InvalidFleet", commit: "a", message: "" });
  end({ kind: "failed", reason: "FetchFailed", commit: null, message: "" });
  expect(pauses).toEqual([2000, 6000, 18_000, 54_000, 162_000, 300_000, 300_000, 60_000, 2000]);
});
