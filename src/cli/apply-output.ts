import { CortexError, EXIT } from "../core/errors.ts";
import type { ApplyEvent, ApplyResult } from "../protocol/apply-events.ts";
import type { PlanDocument } from "../protocol/plan-document.ts";
import { isSeen, isSettled } from "../protocol/plan-settled.ts";
import { listenForShutdown } from "../platform/shutdown.ts";
import { ApplyTally } from "./apply-tally.ts";
import { askConsent } from "./ask-consent.ts";
import { ApplyLines, printApplyResult } from "./print/print-apply-progress.ts";
import { planSummary } from "./print/plan-words.ts";
import { printPlan } from "./print/print-plan.ts";
import { wrapText } from "./print/wrap-text.ts";

export interface ApplyCourse {
  /** Throws for a plan that must not be carried out. */
  readonly check: () => void;
  /** Whether a person has to agree first. */
  readonly asks: boolean;
  readonly apply: (watched: {
    readonly signal: AbortSignal;
    readonly onEvent: (event: ApplyEvent) => void;
  }) => Promise<ApplyResult>;
  /** Called when a second Ctrl-C ends the wait. */
  readonly onEndNow: (result: ApplyResult) => void;
}

/** What `cortex apply` says: text for people, with `--json` one event a line, the plan first and the result last. */
export class ApplyOutput {
  readonly #json: boolean;
  readonly #colour: boolean;
  readonly #lines: ApplyLines;
  #result: ApplyResult | undefined;

  constructor(options: { readonly json: boolean; readonly colour: boolean }) {
    this.#json = options.json;
    this.#colour = options.colour;
    this.#lines = new ApplyLines(options);
  }

  /** Shows the plan, asks, tells what happens, and throws unless the fleet is then as declared. */
  async accompany(plan: PlanDocument, course: ApplyCourse): Promise<void> {
    this.#showPlan(plan);
    if (plan.changes.length > 0) {
      course.check();
      if (course.asks && !(await this.#isWanted(plan))) {
        // An answer is no error; the fleet is not as declared all the same.
        process.exitCode = EXIT.failed;
        this.#write(undefined, "Not applied; nothing was changed.");
        return;
      }
      const shutdown = listenForShutdown();
      const tally = new ApplyTally(plan);
      const applied = course.apply({
        signal: shutdown.first,
        onEvent: (event) => {
          tally.note(event);
          if (!shutdown.second.aborted) this.#showEvent(event);
        },
      });
      try {
        this.#showResult(await Promise.race([applied, this.#interruption(shutdown)]));
      } catch (thrown) {
        if (shutdown.second.aborted) this.#showResult(tally.endedNow());
        throw thrown;
      } finally {
        shutdown.dispose();
        if (shutdown.second.aborted) course.onEndNow(tally.endedNow());
      }
    }
    this.#finish(plan);
  }

  #showPlan(plan: PlanDocument): void {
    this.#write({ type: "plan", plan }, printPlan(plan, { colour: this.#colour }));
  }

  #showEvent(event: ApplyEvent): void {
    this.#write(event, this.#lines.print(event));
  }

  #showResult(result: ApplyResult): void {
    this.#result = result;
    this.#write(
      { type: "apply-result", ...result },
      `\n${printApplyResult(result, { colour: this.#colour })}`,
    );
  }

  /** Asks in a terminal; without one it must have been said with --yes. */
  async #isWanted(plan: PlanDocument): Promise<boolean> {
    if (this.#json || !process.stdin.isTTY) {
      throw new CortexError("confirmation_required", "nobody is there to confirm the plan", {
        details: { plan: planSummary(plan) },
      });
    }
    return await askConsent("Apply these changes?");
  }

  /** Says what the first Ctrl-C does; rejects at the second. */
  #interruption(shutdown: { readonly first: AbortSignal; readonly second: AbortSignal }): Promise<never> {
    shutdown.first.addEventListener("abort", () => {
      process.stderr.write("Finishing what runs; nothing new is started. Ctrl-C again ends now.\n");
    });
    return new Promise((_resolve, reject) => {
      shutdown.second.addEventListener("abort", () => {
        const message = "ended while steps were running; the neurons finish or drop them on their own";
        reject(new CortexError("interrupted", message));
      });
    });
  }

  /** Throws unless the fleet is now as declared. */
  #finish(plan: PlanDocument): void {
    const result = this.#result;
    if (result?.interrupted === true) {
      throw new CortexError("interrupted", "stopped before every change was applied");
    }
    if (result !== undefined && result.failed.length + result.not_started.length > 0) {
      const message = `${result.failed.length} of ${plan.changes.length} changes failed, ${result.not_started.length} not started`;
      if (result.failed.length > 0) throw new CortexError("apply_failed", message);
      throw new CortexError("apply_failed", message, {
        next: "the reason stands beside each change that was not started; `cortex apply` goes on from here",
      });
    }
    if (isSettled(plan)) return;
    throw new CortexError("plan_incomplete", unsettledText(plan));
  }

  #write(event: unknown, text: string | undefined): void {
    if (this.#json) process.stdout.write(`${JSON.stringify(event)}\n`);
    else if (text !== undefined && text !== "")
      process.stdout.write(`${wrapText(text, process.stdout.columns)}\n`);
  }
}

/** Why the fleet is not as declared although everything in the plan was done. */
function unsettledText(plan: PlanDocument): string {
  const silent = plan.neurons.filter(({ reachable }) => !reachable).map(({ name }) => name);
  if (!isSeen(plan)) return `no neuron answers (${silent.join(", ")}), so nothing is known of the fleet`;
  if (plan.unplaced.length === 0 && plan.unknown.length === 0) {
    return `not everything that is declared could be carried out: ${plan.deferred.map(({ id }) => id).join(", ")} had to wait`;
  }
  return silent.length === 0
    ? "not everything that is declared could be placed"
    : `not everything that is declared could be settled: ${silent.join(", ")} did not answer`;
}
