import fc from "fast-check";
import { expect, test } from "vitest";
import { CortexError } from "../../src/core/errors.ts";
import {
  beginCourse,
  MAX_LOAD_ROUNDS,
  stepCourse,
  type CourseDeed,
  type CourseEvent,
  type CourseStep,
} from "../../src/gateway/request-course.ts";
import { FULL_RETRY_BUDGET, RETRY_PAUSES } from "../../src/gateway/retry-policy.ts";
import {
  again,
  answered,
  broke,
  ended,
  granted,
  paused,
  refreshed,
  queued,
  refuse,
  serve,
} from "./course-play.ts";

const neuron = fc.constantFrom("a", "b", "c");
const stopped: CourseEvent = { kind: "request-stopped" };
const code = fc.constantFrom(
  "worker_crashed",
  "upstream_connection_error",
  "model_not_found",
  "draining",
  "model_loading",
  "queue_full",
  "context_length_exceeded",
  null,
);

/** What the world may answer to each thing that is done. */
const ANSWERS: Readonly<Record<CourseDeed["kind"], fc.Arbitrary<CourseEvent>>> = {
  route: fc.oneof(
    { weight: 4, arbitrary: neuron.map(serve) },
    { weight: 3, arbitrary: fc.constantFrom(queued(), queued("b")) },
    { weight: 1, arbitrary: fc.constantFrom(refuse(), refuse("no_healthy_neuron")) },
  ),
  wait: fc.oneof(
    { weight: 3, arbitrary: neuron.map(granted) },
    { weight: 4, arbitrary: fc.constant(again) },
    fc.constant<CourseEvent>({
      kind: "wait-ended",
      outcome: { kind: "refused", error: new CortexError("load_failed", "no") },
    }),
    fc.constant<CourseEvent>({ kind: "wait-ended", outcome: { kind: "cancelled" } }),
  ),
  send: fc.oneof(
    { weight: 4, arbitrary: code.map((word) => answered(word)) },
    {
      weight: 4,
      arbitrary: fc.constantFrom("ECONNREFUSED", "UND_ERR_SOCKET", "UND_ERR_HEADERS_TIMEOUT").map(broke),
    },
    fc.constantFrom(
      ended({ kind: "completed" }),
      ended({ kind: "cut", code: "upstream_cut_stream" }),
      ended({ kind: "aborted" }),
    ),
  ),
  pause: fc.oneof({ weight: 4, arbitrary: fc.constant(paused()) }, fc.constantFrom(paused(false), stopped)),
  refresh: fc.oneof({ weight: 3, arbitrary: fc.boolean().map(refreshed) }, fc.constant(stopped)),
};

interface Deed {
  readonly step: CourseStep;
  /** What had just happened. */
  readonly event: CourseEvent | undefined;
}

const goesOn = (next: CourseStep["next"]): next is CourseDeed => Object.hasOwn(ANSWERS, next.kind);

/** One whole life of a request in a world that answers as it likes. */
function live(draw: fc.GeneratorValue): Deed[] {
  const deeds: Deed[] = [{ step: beginCourse(), event: undefined }];
  for (let at = deeds[0]; at !== undefined && goesOn(at.step.next) && deeds.length < 100; at = deeds.at(-1)) {
    const answer = ANSWERS[at.step.next.kind];
    const event = draw(() => answer);
    deeds.push({ step: stepCourse(at.step.course, event), event });
  }
  return deeds;
}

const sends = (deeds: readonly Deed[]) => deeds.filter(({ step }) => step.next.kind === "send");
const counted = (deeds: readonly Deed[]) =>
  deeds.flatMap(({ step }) => step.notes).filter((note) => note.kind === "count-retry");

test("law: it always ends, once", () => {
  fc.assert(
    fc.property(fc.gen(), (draw) => {
      const deeds = live(draw);
      expect(deeds.length).toBeLessThan(80);
      expect(deeds.filter(({ step }) => !goesOn(step.next))).toHaveLength(1);
      expect(deeds.at(-1)?.step.course.stage.kind).toBe("over");
    }),
    { numRuns: 1000 },
  );
});

test("law: one attempt, and one more for each retry that is counted: a few after failures, a few for an old view", () => {
  fc.assert(
    fc.property(fc.gen(), (draw) => {
      const deeds = live(draw);
      const retries = counted(deeds);
      expect(sends(deeds).length).toBeLessThanOrEqual(1 + retries.length);
      const stale = retries.filter(({ reason }) => reason === "stale_view");
      expect(stale.length).toBeLessThanOrEqual(FULL_RETRY_BUDGET.staleView);
      expect(retries.length - stale.length).toBeLessThanOrEqual(FULL_RETRY_BUDGET.replica);
      const rounds = deeds.filter(
        ({ event }) => event?.kind === "wait-ended" && event.outcome.kind === "decide-again",
      );
      expect(rounds.length).toBeLessThanOrEqual(MAX_LOAD_ROUNDS);
    }),
    { numRuns: 1000 },
  );
});

/** What ends a request at once, whatever else could be done. */
function isFinal(event: CourseEvent | undefined): boolean {
  if (event?.kind === "request-stopped") return true;
  if (event?.kind !== "attempt-ended") return false;
  const { result } = event;
  return (
    ["completed", "cut", "aborted"].includes(result.kind) ||
    (result.kind === "answered-error" && result.answer.envelope?.error.code === "context_length_exceeded")
  );
}

test("law: nothing is sent after the first byte, a client that left, or an error of the request's own", () => {
  fc.assert(
    fc.property(fc.gen(), (draw) => {
      const after = live(draw).filter(({ event }) => isFinal(event));
      expect(after.filter(({ step }) => goesOn(step.next))).toEqual([]);
    }),
    { numRuns: 1000 },
  );
});

const crashed = (event: CourseEvent | undefined) =>
  event?.kind === "attempt-ended" &&
  event.result.kind === "answered-error" &&
  event.result.answer.envelope?.error.code === "worker_crashed";

test("law: a request whose worker crashed is sent once more, however many replicas there are", () => {
  fc.assert(
    fc.property(fc.gen(), (draw) => {
      const deeds = live(draw);
      const first = deeds.findIndex(({ event }) => crashed(event));
      const second = deeds.findIndex(({ event }, index) => index > first && crashed(event));
      const after = first === -1 || second === -1 ? [] : deeds.slice(second);
      expect(sends(after)).toEqual([]);
    }),
    { numRuns: 1000 },
  );
});

test("law: it looks again a few times, and later each time", () => {
  fc.assert(
    fc.property(fc.gen(), (draw) => {
      const pauses = live(draw).flatMap(({ step: { next } }) => (next.kind === "pause" ? [next.length] : []));
      expect(pauses).toEqual(RETRY_PAUSES.filter((length) => length > 0).slice(0, pauses.length));
    }),
    { numRuns: 1000 },
  );
});
