import { assertNever } from "../core/assert-never.ts";
import type { RequestOutcome } from "./loading/scheduler-state.ts";
import type { RelayResult } from "./relay/relay-answer.ts";

/** What a replica says when it is well and only cannot take this request now. */
const BUSY: ReadonlySet<string> = new Set(["queue_full", "draining", "model_loading", "insufficient_vram"]);

/** Whether an attempt speaks for the replica or against it; null: neither. */
export function replicaOutcome(result: RelayResult): RequestOutcome | null {
  switch (result.kind) {
    case "completed":
      return "served";
    case "aborted":
      return null;
    case "cut":
    case "failed-before-answer":
      return "failed";
    case "answered-error": {
      const { envelope, status } = result.answer;
      if (envelope === null) return "failed";
      if (BUSY.has(envelope.error.code ?? "")) return null;
      return status >= 500 ? "failed" : "served";
    }
    default:
      return assertNever(result);
  }
}
