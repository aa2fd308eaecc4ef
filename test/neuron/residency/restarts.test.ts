import { expect, test } from "vitest";
import {
  afterLoss,
  awaitsRestart,
  withoutAwaited,
  type AwaitedReturn,
  type Restarts,
} from "../../../src/neuron/residency/restarts.ts";
import { modelSpecSchema } from "../../../src/protocol/neuron-api.ts";
import { DrivenResidency } from "../../support/neuron/residency-builders.ts";

const NONE: Restarts = new Map();

/** A copy of the model `a` that is gone. */
const copy = (instance: string): AwaitedReturn => ({
  instance,
  spec: modelSpecSchema.parse({ model_id: "a" }),
  origin: { kind: "manual" },
  requestedAtMs: 0,
});

test("a model that dies again and again comes back later each time; one that lived long comes back at once", () => {
  const delays: (number | null)[] = [];
  let restarts = NONE;
  for (const atMs of [0, 1000, 5000, 20_000, 60_000, 100_000, 800_000]) {
    const lost = afterLoss(restarts, copy(`at-${atMs}`), atMs);
    restarts = lost.restarts;
    delays.push(lost.delayMs);
  }
  expect(delays).toEqual([0, 2000, 10_000, 30_000, 120_000, 120_000, 0]);
});

test("one that dies ten times in a row and once more stays away; the next row begins anew", () => {
  let restarts = NONE;
  const delays = Array.from({ length: 12 }, (_nothing, at) => {
    const lost = afterLoss(restarts, copy(`at-${at}`), at * 1000);
    restarts = lost.restarts;
    return lost.delayMs;
  });
  expect(delays.slice(9)).toEqual([120_000, null, 0]);
});

test("a restart is awaited once, and not when somebody wants something else meanwhile", () => {
  const { restarts } = afterLoss(NONE, copy("one"), 0);
  expect(awaitsRestart(restarts, "a", "one")).toBe(true);
  expect(awaitsRestart(restarts, "a", "another")).toBe(false);
  const replaced = withoutAwaited(restarts, "a");
  expect(awaitsRestart(replaced, "a", "one")).toBe(false);
  expect(afterLoss(replaced, copy("two"), 1).delayMs).toBe(2000);
});

test("a model whose worker dies eleven times in a row does not come back by itself, and says why", () => {
  const neuron = new DrivenResidency(1000);
  const die = (jobId: string): void => {
    neuron.verified(jobId, 100);
    neuron.ready(jobId, 100);
    neuron.exited(jobId, { signal: "SIGSEGV" });
  };
  neuron.load("j0", { model_id: "a" });
  die("j0");
  for (let at = 1; at <= 10; at += 1) {
    const [timer] = neuron.effects.filter((effect) => effect.kind === "start-restart-timer");
    if (timer?.kind !== "start-restart-timer") throw new Error(`death ${at} has no restart`);
    const { request, instance } = timer;
    neuron.on({ kind: "restart-came-due", jobId: `j${at}`, instance, request, atMs: at });
    die(`j${at}`);
  }
  expect(neuron.effects.map(({ kind }) => kind)).not.toContain("start-restart-timer");
  expect([...neuron.state.failures.values()]).toMatchObject([{ failure: { code: "worker_crashed" } }]);
  expect(neuron.state.ledger.map(({ holds }) => holds)).toEqual([[]]);
});

test("a load that is refused does not take the place of a return that is awaited", () => {
  const neuron = new DrivenResidency(1000);
  const instance = neuron.resident("a", 100);
  neuron.exited(instance, { signal: "SIGSEGV" });
  neuron.on({ kind: "drain-requested" });
  neuron.load("j2", { model_id: "a" });
  expect(awaitsRestart(neuron.state.restarts, "a", instance)).toBe(true);
});
