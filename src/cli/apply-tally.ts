import type { AppliedStep, ApplyEvent, ApplyResult } from "../protocol/apply-events.ts";
import type { PlanDocument } from "../protocol/plan-document.ts";

/** What is known of an apply while it goes on: the result of one that nobody waits for any longer. */
export class ApplyTally {
  readonly #plan: PlanDocument;
  readonly #applied: AppliedStep[] = [];
  readonly #failed: ApplyResult["failed"][number][] = [];
  readonly #skipped: { step: string; reason: string }[] = [];
  readonly #started = new Set<string>();
  readonly #startedMs = performance.now();

  constructor(plan: PlanDocument) {
    this.#plan = plan;
  }

  note(event: ApplyEvent): void {
    if (event.type === "step-started") this.#started.add(event.step);
    else if (event.type === "step-done") {
      const { step, duration_ms, actual } = event;
      this.#applied.push({ step, duration_ms, actual });
    } else if (event.type === "step-failed") this.#failed.push({ step: event.step, error: event.error });
    else if (event.type === "step-skipped") this.#skipped.push({ step: event.step, reason: event.reason });
  }

  /** Every change of the plan in one of the lists: what was begun and has not ended is still running. */
  endedNow(): ApplyResult {
    const ended = new Set([...this.#applied, ...this.#failed, ...this.#skipped].map(({ step }) => step));
    const open = this.#plan.changes.map(({ id }) => id).filter((id) => !ended.has(id));
    const waiting = open.filter((id) => !this.#started.has(id));
    return {
      applied: this.#applied,
      failed: this.#failed,
      not_started: [...this.#skipped, ...waiting.map((step) => ({ step, reason: "the apply was ended" }))],
      still_running: open.filter((id) => this.#started.has(id)),
      interrupted: true,
      timed_out: false,
      superseded: false,
      duration_ms: Math.round(performance.now() - this.#startedMs),
    };
  }
}
