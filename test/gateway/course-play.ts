import { assertNever } from "../../src/core/assert-never.ts";
import { CortexError } from "../../src/core/errors.ts";
import type { HeldAnswer, RelayResult } from "../../src/gateway/relay/relay-answer.ts";
import {
  beginCourse,
  stepCourse,
  type CourseEvent,
  type CourseStep,
} from "../../src/gateway/request-course.ts";
import type { Decision } from "../../src/gateway/routing/route-request.ts";

const about = { modelId: "m", considered: [] } as const;

export const serve = (neuron: string): CourseEvent => routed({ kind: "serve", neuron, ...about });
export const queued = (replica: string | null = null): CourseEvent =>
  routed({ kind: "wait", replica, ...about });
export const refuse = (code: "no_healthy_neuron" | "model_not_found" = "model_not_found"): CourseEvent =>
  routed({ kind: "refuse", error: new CortexError(code, "no"), ...about });
const routed = (decision: Decision): CourseEvent => ({ kind: "request-routed", decision });

export const ended = (result: RelayResult): CourseEvent => ({ kind: "attempt-ended", result });
export const broke = (code: string): CourseEvent => ended({ kind: "failed-before-answer", code });
export const answered = (code: string | null, status = 500): CourseEvent => {
  const envelope = code === null ? null : { error: { message: "no", type: "api_error", code } };
  const answer: HeldAnswer = { status, headers: {}, envelope };
  return ended({ kind: "answered-error", answer });
};
export const granted = (neuron: string): CourseEvent => ({
  kind: "wait-ended",
  outcome: { kind: "granted", neuron },
});
export const again: CourseEvent = { kind: "wait-ended", outcome: { kind: "decide-again" } };
export const paused = (mayGoOn = true): CourseEvent => ({ kind: "pause-ended", mayGoOn });
export const refreshed = (answers: boolean): CourseEvent => ({ kind: "neuron-refreshed", answers });

/** A step in short words: what is noted aside, and what comes next. */
export function inWords({ notes, next }: CourseStep): string {
  const aside = notes.map(
    (note) => `${note.kind} ${note.kind === "count-retry" ? note.reason : note.neuron}`,
  );
  return [...aside, nextInWords(next)].join(", ");
}

const list = (names: ReadonlySet<string>, word: string) =>
  names.size === 0 ? "" : ` ${word} ${[...names].join("+")}`;

function nextInWords(next: CourseStep["next"]): string {
  switch (next.kind) {
    case "route":
      return `route${list(next.avoid, "avoiding")}${list(next.excluded, "without")}`;
    case "wait":
      return `wait${list(next.excluded, "without")}`;
    case "send":
    case "refresh":
      return `${next.kind} ${next.neuron}`;
    case "pause":
      return `pause ${next.length}`;
    case "answer-error":
      return `answer ${next.error.code}`;
    case "pass-on-error":
      return `pass on ${next.envelope.error.code ?? next.answer.status}`;
    case "completed":
    case "cut":
    case "stopped":
      return next.kind;
    default:
      return assertNever(next);
  }
}

/** What a request does over these events, the first one without any. */
export function play(events: readonly CourseEvent[]): string[] {
  let step = beginCourse();
  const told = [inWords(step)];
  for (const event of events) {
    step = stepCourse(step.course, event);
    told.push(inWords(step));
  }
  return told;
}
