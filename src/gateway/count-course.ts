import { assertNever } from "../core/assert-never.ts";
import type { HeldAnswer, RelayResult } from "./relay/relay-answer.ts";
import type { CourseEnd } from "./request-course.ts";

/** Codes of what another neuron, or the loaded model, may do better. */
const ELSEWHERE = new Set([
  "model_not_found",
  "source_not_found",
  "source_forbidden",
  "source_unsupported",
  "queue_full",
]);

/** How a count ends that a neuron without the weights was asked for; what is wrong with the request is wrong everywhere. */
export function afterCount(result: RelayResult): CourseEnd | "ask-another" {
  switch (result.kind) {
    case "completed":
      return { kind: "completed" };
    case "cut":
      return { kind: "cut", code: result.code };
    case "aborted":
      return { kind: "stopped" };
    case "failed-before-answer":
      return "ask-another";
    case "answered-error":
      return afterError(result.answer);
    default:
      return assertNever(result);
  }
}

function afterError(answer: HeldAnswer): CourseEnd | "ask-another" {
  const { envelope, status } = answer;
  if (envelope === null || status >= 500 || ELSEWHERE.has(envelope.error.code ?? "")) return "ask-another";
  return { kind: "pass-on-error", answer, envelope };
}
