import { describe, expect, test } from "vitest";
import { decide, type Trust } from "../../../src/gateway/routing/route-request.ts";
import {
  afterNoOutcome,
  afterOutcome,
  afterSending,
  GOOD_STANDING,
  isLeftOut,
  isProbeDue,
  workOfFailures,
  type ReplicaStanding,
} from "../../../src/gateway/routing/replica-standing.ts";
import { residentModel } from "../../support/neuron/fake-neuron.ts";
import { factsOf, indexOf, viewOf } from "../view-builder.ts";

const failed = (times: number, nowMs = 0): ReplicaStanding =>
  Array.from({ length: times }).reduce<ReplicaStanding>(
    (standing) => afterOutcome(standing, "failed", nowMs),
    GOOD_STANDING,
  );

describe("the breaker", () => {
  test("three failures in a row shut a replica out, for longer each time", () => {
    expect(isLeftOut(failed(2), 0)).toBe(false);
    expect(isLeftOut(failed(3), 999)).toBe(true);
    expect(isLeftOut(failed(3), 1000)).toBe(false);
    expect(isLeftOut(failed(4), 1999)).toBe(true);
    expect(isLeftOut(failed(30), 29_999)).toBe(true);
    expect(isLeftOut(failed(30), 30_000)).toBe(false);
  });

  test("an answer in between starts the count anew", () => {
    const standing = afterOutcome(failed(2), "served", 0);
    expect(isLeftOut(afterOutcome(afterOutcome(standing, "failed", 0), "failed", 0), 0)).toBe(false);
  });

  test("after the rest one request tries it, and the others keep away until it is known", () => {
    const rested = failed(3);
    expect(isProbeDue(rested, 1000)).toBe(true);
    const probed = afterSending(rested, 1000);
    expect(isProbeDue(probed, 1000)).toBe(false);
    expect(isLeftOut(probed, 1000)).toBe(true);
    expect(isLeftOut(afterOutcome(probed, "served", 1000), 1000)).toBe(false);
    expect(isLeftOut(afterOutcome(probed, "failed", 1000), 2999)).toBe(true);
    expect(isProbeDue(afterNoOutcome(probed), 1000)).toBe(true);
  });

  test("failures count as work, and time lets them go", () => {
    const standing = failed(2);
    expect(workOfFailures(standing, 0)).toBeGreaterThan(3);
    expect(workOfFailures(standing, 30_000)).toBe(workOfFailures(standing, 0) / 2);
    expect(workOfFailures(standing, 120_000)).toBe(0);
    expect(workOfFailures(GOOD_STANDING, 0)).toBe(0);
  });
});

describe("where a request goes", () => {
  const fleet = indexOf({ a: {}, b: {} }, [{ id: "m" }]);
  const view = viewOf({ a: { models: [residentModel("m")] }, b: { models: [residentModel("m")] } });
  const chosen = (trust: Partial<Trust>, outstanding: number) => {
    const facts = factsOf("m", {
      trustIn: (neuron) =>
        neuron === "a" ? { isLeftOut: false, isProbeDue: false, extraWork: 0, ...trust } : null,
      outstanding: (neuron) => (neuron === "b" ? outstanding : 0),
    });
    const decision = decide(facts, fleet, view);
    return decision.kind === "serve" ? decision.neuron : decision.kind;
  };

  test.each([
    {
      what: "one that fails of late is left out, however little it has",
      trust: { isLeftOut: true },
      at: "b",
    },
    { what: "failures count as work", trust: { extraWork: 6 }, at: "b" },
    { what: "as much as they weigh", trust: { extraWork: 1 }, at: "a" },
    { what: "the probe goes there", trust: { isProbeDue: true, extraWork: 100 }, at: "a" },
  ])("$what", ({ trust, at }) => {
    expect(chosen(trust, 5)).toBe(at);
  });
});
