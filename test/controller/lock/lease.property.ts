import fc from "fast-check";
import { expect, test } from "vitest";
import {
  beginLease,
  stepLease,
  type LeaseEvent,
  type LeaseState,
} from "../../../src/controller/lock/lease.ts";

/** The laws of `lease.ts`, over every course of renewals that come through, are late, fail or are refused. */
const TTL_MS = 60_000;

interface Course {
  readonly answers: readonly { readonly kind: "confirmed" | "failed" | "refused"; readonly tookMs: number }[];
}

const answer = fc.record({
  kind: fc.oneof(
    { weight: 6, arbitrary: fc.constant("confirmed" as const) },
    { weight: 4, arbitrary: fc.constant("failed" as const) },
    { weight: 1, arbitrary: fc.constant("refused" as const) },
  ),
  tookMs: fc.integer({ min: 0, max: 50_000 }),
});

/** Lets the reducer run against a place that answers as the course says; the moments at which something happened. */
function run({ answers }: Course) {
  let { state, effects } = beginLease(TTL_MS, 0);
  let nowMs = 0;
  const due: { readonly atMs: number; readonly event: (nowMs: number) => LeaseEvent }[] = [];
  const left = [...answers];
  let renewals = 0;
  let mostRenewals = 0;
  let lostMs: number | undefined;
  const losses: string[] = [];
  const states: LeaseState[] = [state];
  const carryOut = (): void => {
    for (const effect of effects) {
      if (effect.kind === "sleep")
        due.push({ atMs: nowMs + effect.forMs, event: (at) => ({ kind: "time-passed", nowMs: at }) });
      else if (effect.kind === "give-up") {
        lostMs ??= nowMs;
        losses.push(effect.reason);
      } else {
        const next = left.shift();
        if (next === undefined) continue;
        renewals += 1;
        mostRenewals = Math.max(mostRenewals, renewals);
        const sentMs = nowMs;
        due.push({
          atMs: nowMs + next.tookMs,
          event: (at) => {
            renewals -= 1;
            if (next.kind === "confirmed") return { kind: "renewal-confirmed", sentMs };
            return next.kind === "failed"
              ? { kind: "renewal-failed", nowMs: at }
              : { kind: "renewal-refused" };
          },
        });
      }
    }
  };
  carryOut();
  for (let turn = 0; turn < 400 && due.length > 0; turn += 1) {
    due.sort((a, b) => a.atMs - b.atMs);
    const next = due.shift();
    if (next === undefined) break;
    nowMs = next.atMs;
    ({ state, effects } = stepLease(state, next.event(nowMs)));
    states.push(state);
    carryOut();
  }
  return { states, losses, lostMs, mostRenewals };
}

test("lost stays lost and is said once; one renewal at a time; given up before anybody else may break it", () => {
  fc.assert(
    fc.property(fc.record({ answers: fc.array(answer, { maxLength: 30 }) }), (course) => {
      const { states, losses, lostMs, mostRenewals } = run(course);
      const from = states.findIndex(({ kind }) => kind === "lost");
      expect(states.slice(from === -1 ? states.length : from).every(({ kind }) => kind === "lost")).toBe(
        true,
      );
      expect(losses.length).toBeLessThanOrEqual(1);
      expect(mostRenewals).toBeLessThanOrEqual(1);
      const confirmedMs = states.at(-1)?.confirmedMs ?? 0;
      expect((lostMs ?? 0) - confirmedMs).toBeLessThan(TTL_MS);
    }),
  );
});

test("a lock whose renewals come through is never given up", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 10_000 }), { minLength: 1, maxLength: 30 }), (took) => {
      const answers = took.map((tookMs) => ({ kind: "confirmed" as const, tookMs }));
      const { losses, states } = run({ answers });
      // The place answers as often as the course says and then never again.
      expect(losses).toEqual(["unreachable"]);
      expect(states.at(-1)?.confirmedMs).toBeGreaterThan(0);
    }),
  );
});
