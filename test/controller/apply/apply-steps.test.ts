import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  applyIsOver,
  beginApply,
  reachOf,
  stepApply,
  type ApplyEffect,
  type ApplyState,
  type ApplyStepEvent,
} from "../../../src/controller/apply/apply-steps.ts";
import type { PlanChange } from "../../../src/protocol/plan-document.ts";
import { fleetFromToml, observedFleet, observedNeuron, plan } from "../observed-fleet-builders.ts";

const [SAMPLE] = plan(
  fleetFromToml('[[models]]\nid = "m"\nreplicas = 1\nvram_mb = 1\n', ["a"]),
  observedFleet(observedNeuron("a", { devices: [8000] })),
).changes;

function changeOf(id: string, neuron: string, dependsOn: readonly string[] = []): PlanChange {
  if (SAMPLE === undefined) throw new Error("the plan of this test has a change");
  return { ...SAMPLE, id, neuron, depends_on: [...dependsOn] };
}

/** Steps that start run until the test says what became of them. */
class Course {
  readonly started: string[] = [];
  readonly skipped: string[] = [];
  #state: ApplyState;

  constructor(changes: readonly PlanChange[]) {
    const { state, effects } = beginApply(
      { changes: [...changes] },
      { parallelism: 10, allowProtected: true },
    );
    this.#state = state;
    this.#note(effects);
    this.send({ kind: "apply-begun" });
  }

  get isOver(): boolean {
    return applyIsOver(this.#state);
  }

  send(event: ApplyStepEvent): void {
    const { state, effects } = stepApply(this.#state, event);
    this.#state = state;
    this.#note(effects);
  }

  #note(effects: readonly ApplyEffect[]): void {
    for (const effect of effects) {
      if (effect.kind === "start-step") this.started.push(effect.change.id);
      else this.skipped.push(`${effect.change.id}: ${effect.reason}`);
    }
  }
}

describe("what a failed step holds up", () => {
  const changes = [
    changeOf("1", "a"),
    changeOf("2", "a", ["1"]),
    changeOf("3", "b", ["2"]),
    changeOf("4", "a"),
  ];

  test("what depends on it, however indirectly", () => {
    const course = new Course(changes);
    course.send({ kind: "step-failed", step: "1", reach: "step" });
    expect(course.started).toEqual(["1", "4"]);
    expect(course.skipped).toEqual([
      '2: it waits for "1", which failed',
      '3: it waits for "2", which was not started',
    ]);
    course.send({ kind: "step-succeeded", step: "4" });
    expect(course.isOver).toBe(true);
  });

  test("the rest of its neuron as well where it is the neuron that failed", () => {
    const course = new Course([...changes, changeOf("5", "b")]);
    course.send({ kind: "step-failed", step: "1", reach: "neuron" });
    expect(course.started).toEqual(["1", "5"]);
    expect(course.skipped.at(-1)).toBe('4: nothing more is done on a since "1" failed there');
  });

  test("a stop and the end of the time hold up all that was not started, and the first of them is named", () => {
    const course = new Course(changes);
    course.send({ kind: "time-ended" });
    course.send({ kind: "stop-requested" });
    expect(course.skipped).toEqual(
      ["2", "3", "4"].map((id) => `${id}: the time for the apply was over (--timeout)`),
    );
    course.send({ kind: "step-succeeded", step: "1" });
    expect([course.started, course.isOver]).toEqual([["1"], true]);
  });

  test.each([
    ["source_not_found", "step"],
    ["insufficient_vram", "step"],
    ["load_failed", "step"],
    ["step_timeout", "step"],
    ["stale_generation", "neuron"],
    ["upstream_connection_error", "neuron"],
    ["unauthorized", "neuron"],
  ] as const)("%s is about the %s", (code, reach) => {
    expect(reachOf(code)).toBe(reach);
  });
});

test("whatever fails, every change is started but those that depend on a failed one", () => {
  const anyChanges = fc
    .array(
      fc.record({ neuron: fc.constantFrom("a", "b", "c"), back: fc.array(fc.nat(20), { maxLength: 3 }) }),
      {
        minLength: 1,
        maxLength: 12,
      },
    )
    .map((rows) =>
      rows.map(({ neuron, back }, at) => {
        const before = back.map((step) => at - 1 - step).filter((position) => position >= 0);
        return changeOf(
          String(at),
          neuron,
          before.map((position) => String(position)),
        );
      }),
    );
  fc.assert(
    fc.property(anyChanges, fc.infiniteStream(fc.nat(3)), (changes, dice) => {
      const course = new Course(changes);
      const failed = new Set<string>();
      for (let at = 0; !course.isOver; at += 1) {
        const step = course.started[at] ?? "";
        const fails = dice.next().value === 0;
        if (fails) failed.add(step);
        course.send(fails ? { kind: "step-failed", step, reach: "step" } : { kind: "step-succeeded", step });
      }
      const lost = new Set(failed);
      for (const { id, depends_on } of changes) if (depends_on.some((other) => lost.has(other))) lost.add(id);
      const due = changes.map(({ id }) => id).filter((id) => failed.has(id) || !lost.has(id));
      expect(course.started.toSorted()).toEqual(due.toSorted());
    }),
  );
});
