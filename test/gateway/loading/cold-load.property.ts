import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { assertNever } from "../../../src/core/assert-never.ts";
import { CortexError } from "../../../src/core/errors.ts";
import {
  initialColdLoadState,
  reduceColdLoad,
  type ColdLoadEffect,
  type ColdLoadEvent,
  type ColdLoadState,
  type LoadOutcome,
} from "../../../src/gateway/loading/cold-load.ts";

const arrival = (
  waiterId: string,
  changes: Partial<Extract<ColdLoadEvent, { kind: "waiter-arrived" }>> = {},
) =>
  ({
    kind: "waiter-arrived",
    waiterId,
    modelId: "m",
    neuron: "n1",
    mode: "load",
    declared: false,
    maxWaiters: 3,
    measuredLoadMs: undefined,
    atMs: 0,
    ...changes,
  }) satisfies ColdLoadEvent;
const left = (waiterId: string): ColdLoadEvent => ({ kind: "waiter-left", waiterId, modelId: "m" });
const accepted = (attempt = 1): ColdLoadEvent => ({
  kind: "load-accepted",
  modelId: "m",
  attempt,
  jobId: `j${attempt}`,
});
const ended = (outcome: LoadOutcome, attempt = 1): ColdLoadEvent => ({
  kind: "load-ended",
  modelId: "m",
  attempt,
  outcome,
});

/** Runs events and tells the effects of each in short words. */
function play(events: readonly ColdLoadEvent[]): { state: ColdLoadState; told: string[][] } {
  let state = initialColdLoadState;
  const told = events.map((event) => {
    const step = reduceColdLoad(state, event);
    state = step.state;
    return step.effects.map(inWords);
  });
  return { state, told };
}

function inWords(effect: ColdLoadEffect): string {
  if (effect.kind !== "release-waiter") return `${effect.kind} ${effect.attempt}`;
  const { outcome, waiterId } = effect;
  return outcome.kind === "refused" ? `${waiterId} ${outcome.error.code}` : `${waiterId} ${outcome.kind}`;
}

const failure: LoadOutcome = { kind: "failed", error: new CortexError("load_failed", "no") };

describe("by hand", () => {
  test.each([
    {
      what: "the second waiter joins, both are granted",
      events: [arrival("a"), arrival("b"), accepted(), ended({ kind: "loaded" })],
      told: [["start-load 1"], [], [], ["a granted", "b granted"]],
    },
    {
      what: "a failure reaches all; the next one begins anew",
      events: [arrival("a"), arrival("b"), ended(failure), arrival("c")],
      told: [["start-load 1"], [], ["a load_failed", "b load_failed"], ["start-load 2"]],
    },
    {
      what: "one leaves, the other keeps the load",
      events: [arrival("a"), arrival("b"), accepted(), left("a"), ended({ kind: "loaded" })],
      told: [["start-load 1"], [], [], ["a cancelled"], ["b granted"]],
    },
    {
      what: "the last one leaves: cancelled at the neuron",
      events: [arrival("a"), accepted(), left("a")],
      told: [["start-load 1"], [], ["a cancelled", "cancel-load 1"]],
    },
    {
      what: "left before the neuron has answered: cancelled as soon as it has",
      events: [arrival("a"), left("a"), accepted()],
      told: [["start-load 1"], ["a cancelled"], ["cancel-load 1"]],
    },
    {
      what: "left and come back before the neuron has answered: the load goes on",
      events: [arrival("a"), left("a"), arrival("b"), accepted(), ended({ kind: "loaded" })],
      told: [["start-load 1"], ["a cancelled"], [], [], ["b granted"]],
    },
    {
      what: "a declared resident goes on without waiters",
      events: [arrival("a", { declared: true }), accepted(), left("a"), ended({ kind: "loaded" })],
      told: [["start-load 1"], [], ["a cancelled"], []],
    },
    {
      what: "somebody else's load is watched, and never cancelled",
      events: [arrival("a", { mode: "watch" }), left("a")],
      told: [["watch-load 1"], ["a cancelled", "stop-watch 1"]],
    },
    {
      what: "one too many",
      events: [arrival("a"), arrival("b"), arrival("c"), arrival("d")],
      told: [["start-load 1"], [], [], ["d queue_full"]],
    },
    {
      what: "a dead neuron sends all to decide again",
      events: [arrival("a"), ended({ kind: "unreachable" })],
      told: [["start-load 1"], ["a decide-again"]],
    },
    {
      what: "old news changes nothing",
      events: [arrival("a"), ended(failure), arrival("b"), ended({ kind: "loaded" }, 1), accepted(1)],
      told: [["start-load 1"], ["a load_failed"], ["start-load 2"], [], []],
    },
  ])("$what", ({ events, told }) => {
    expect(play(events).told).toEqual(told);
  });

  test.each([
    { measuredLoadMs: undefined, atMs: 10_000, retryAfterSecs: 5 },
    { measuredLoadMs: 42_000, atMs: 10_000, retryAfterSecs: 32 },
    { measuredLoadMs: 8000, atMs: 10_000, retryAfterSecs: 5 },
  ])(
    "deadline at $atMs ms of a load measured at $measuredLoadMs ms: come back in $retryAfterSecs s",
    ({ measuredLoadMs, atMs, retryAfterSecs }) => {
      const { state } = play([arrival("a"), accepted()]);
      const step = reduceColdLoad(state, {
        kind: "deadline-passed",
        waiterId: "a",
        modelId: "m",
        measuredLoadMs,
        atMs,
      });
      expect(step.effects.map(inWords)).toEqual(["a load_timeout"]);
      expect(step.effects[0]).toMatchObject({ outcome: { error: { retryAfterSecs } } });
      expect(step.state.loads.size).toBe(1);
    },
  );
});

const modelId = fc.constantFrom("m", "k");
const attempt = fc.integer({ min: 1, max: 6 });
const command = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("arrive" as const),
      modelId,
      watch: fc.boolean(),
      declared: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("leave" as const), pick: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("deadline" as const), pick: fc.nat() }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("accept" as const), modelId, attempt }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("end" as const),
      modelId,
      attempt,
      outcome: fc.constantFrom<LoadOutcome>(
        { kind: "loaded" },
        { kind: "vanished" },
        { kind: "unreachable" },
        failure,
      ),
    }),
  },
);
type Command = typeof command extends fc.Arbitrary<infer Value> ? Value : never;

function toEvent(
  step: Command,
  waiters: readonly { id: string; modelId: string }[],
): ColdLoadEvent | undefined {
  switch (step.kind) {
    case "arrive":
      return arrival(`w${waiters.length}`, {
        modelId: step.modelId,
        mode: step.watch ? "watch" : "load",
        declared: step.declared,
      });
    case "leave":
    case "deadline": {
      const waiter = waiters[step.pick % Math.max(1, waiters.length)];
      if (waiter === undefined) return undefined;
      const who = { waiterId: waiter.id, modelId: waiter.modelId };
      return step.kind === "leave"
        ? { kind: "waiter-left", ...who }
        : { kind: "deadline-passed", ...who, measuredLoadMs: undefined, atMs: 9 };
    }
    case "accept":
      return { kind: "load-accepted", modelId: step.modelId, attempt: step.attempt, jobId: "j" };
    case "end":
      return { kind: "load-ended", modelId: step.modelId, attempt: step.attempt, outcome: step.outcome };
    default:
      return assertNever(step);
  }
}

/** Watches a run from outside and notes every breach of the laws. */
class Auditor {
  readonly breaches: string[] = [];
  readonly waiters: { id: string; modelId: string }[] = [];
  state = initialColdLoadState;
  readonly #released = new Map<string, number>();
  readonly #running = new Set<number>();

  play(event: ColdLoadEvent): void {
    if (event.kind === "waiter-arrived") this.waiters.push({ id: event.waiterId, modelId: event.modelId });
    const before = this.state;
    const step = reduceColdLoad(before, event);
    this.state = step.state;
    if (event.kind === "load-ended" && before.loads.get(event.modelId)?.attempt === event.attempt) {
      this.#running.delete(event.attempt);
    }
    for (const effect of step.effects) this.#note(effect, before);
    this.#checkWaiters();
    this.#checkLoads();
  }

  #note(effect: ColdLoadEffect, before: ColdLoadState): void {
    if (effect.kind === "release-waiter") {
      this.#released.set(effect.waiterId, (this.#released.get(effect.waiterId) ?? 0) + 1);
    } else if (effect.kind === "cancel-load" || effect.kind === "stop-watch") {
      this.#demand(this.#running.delete(effect.attempt), `stopped what did not run: ${effect.attempt}`);
    } else {
      this.#demand(!before.loads.has(effect.modelId), `two loads of ${effect.modelId}`);
      this.#running.add(effect.attempt);
    }
  }

  #checkWaiters(): void {
    const waiting = new Set([...this.state.loads.values()].flatMap((load) => [...load.waiters]));
    for (const { id } of this.waiters) {
      const accounted = (this.#released.get(id) ?? 0) + Number(waiting.has(id));
      this.#demand(accounted === 1, `${id} is accounted for ${accounted} times`);
    }
  }

  #checkLoads(): void {
    const known = [...this.state.loads.values()];
    this.#demand(known.length === this.#running.size, "a load runs that nobody remembers");
    for (const load of known) {
      this.#demand(this.#running.has(load.attempt), `attempt ${load.attempt} is kept though it is over`);
      const wanted =
        load.waiters.size > 0 || load.goesOnAlone !== false || (load.ours && load.jobId === null);
      this.#demand(wanted, `nobody wants attempt ${load.attempt}`);
    }
  }

  #demand(holds: boolean, breach: string): void {
    if (!holds) this.breaches.push(breach);
  }
}

test("laws: released exactly once; one load per model; no waiter without a load; what nobody wants is cancelled", () => {
  fc.assert(
    fc.property(fc.array(command, { maxLength: 60 }), (commands) => {
      const auditor = new Auditor();
      for (const step of commands) {
        const event = toEvent(step, auditor.waiters);
        if (event !== undefined) auditor.play(event);
      }
      expect(auditor.breaches).toEqual([]);
    }),
    { numRuns: 500 },
  );
});
