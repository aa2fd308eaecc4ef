import { openSync, writeSync } from "node:fs";
import { CortexError, EXIT, systemErrorCode } from "../core/errors.ts";
import type { ApplyEvent, ApplyResult } from "../protocol/apply-events.ts";
import type { PlanDocument } from "../protocol/plan-document.ts";
import { isSeen, isSettled } from "../protocol/plan-settled.ts";
import type { Environment } from "../platform/environment.ts";
import { listenForShutdown } from "../platform/shutdown.ts";
import { ApplyTally } from "./apply-tally.ts";
import { askConsent } from "./ask-consent.ts";
import { ApplyLines, printApplyResult } from "./print/print-apply-progress.ts";
import { planSummary } from "./print/plan-words.ts";
import { printPlan } from "./print/print-plan.ts";
import { wrapText } from "./print/wrap-text.ts";
import type { ApplyScreen } from "./screen/apply-screen.ts";

export interface ApplyCourse {
  /** Throws for a plan that must not be carried out. */
  readonly check: () => void;
  /** Whether a person has to agree first. */
  readonly asks: boolean;
  readonly apply: (watched: {
    readonly signal: AbortSignal;
    readonly onEvent: (event: ApplyEvent) => void;
    /** Somebody looks at a screen. */
    readonly watchDevices: boolean;
  }) => Promise<ApplyResult>;
  /** Called where the plan changes nothing. */
  readonly onNothing: () => Promise<void>;
  /** Called when a second Ctrl-C ends the wait. */
  readonly onEndNow: (result: ApplyResult) => void;
}

export interface ApplyOutputOptions {
  readonly json: boolean;
  /** File that gets the events as with `--json`, beside what people read. */
  readonly jsonInto?: string | undefined;
  readonly environment: Pick<Environment, "colour" | "unicode" | "liveScreen">;
}

/**
 * What `cortex apply` says: in a terminal a live view, elsewhere plain lines, with `--json` one event a line, the plan first
 * and the result last.
 */
export class ApplyOutput {
  readonly #options: ApplyOutputOptions;
  readonly #colour: boolean;
  readonly #lines: ApplyLines;
  readonly #file: number | undefined;
  #screen: ApplyScreen | undefined;
  #result: ApplyResult | undefined;

  /** Throws `usage_error` when the file cannot be written. */
  constructor(options: ApplyOutputOptions) {
    this.#options = options;
    this.#colour = options.environment.colour;
    this.#lines = new ApplyLines({ colour: this.#colour });
    this.#file = options.jsonInto === undefined ? undefined : openFile(options.jsonInto);
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
      await this.#follow(plan, course);
    } else await course.onNothing();
    this.#finish(plan);
  }

  /** A remark on what goes on, where it does not disturb the screen. */
  tell(message: string): void {
    this.#writeEvent({ type: "remark", message });
    if (this.#screen !== undefined) this.#screen.say(message);
    else if (!this.#options.json) process.stderr.write(`${wrapText(message, process.stderr.columns)}\n`);
  }

  /** The error that the command ends with, for the file: on the terminal it is told as every command's. */
  noteError(error: unknown): void {
    if (this.#file !== undefined) writeSync(this.#file, `${JSON.stringify(error)}\n`);
  }

  async #follow(plan: PlanDocument, course: ApplyCourse): Promise<void> {
    const shutdown = listenForShutdown();
    const tally = new ApplyTally(plan);
    await this.#openScreen(plan);
    const applied = course.apply({
      signal: shutdown.first,
      watchDevices: this.#screen !== undefined,
      onEvent: (event) => {
        tally.note(event);
        if (!shutdown.second.aborted) this.#showEvent(event);
      },
    });
    try {
      const result = await Promise.race([applied, this.#interruption(shutdown)]);
      await this.#closeScreen();
      this.#showResult(result);
    } catch (thrown) {
      await this.#closeScreen();
      if (shutdown.second.aborted) this.#showResult(tally.endedNow());
      throw thrown;
    } finally {
      shutdown.dispose();
      if (shutdown.second.aborted) course.onEndNow(tally.endedNow());
    }
  }

  /** Ink and React are loaded only here: no other command waits for them. */
  async #openScreen(plan: PlanDocument): Promise<void> {
    const { json, environment } = this.#options;
    if (json || !environment.liveScreen) return;
    const { ApplyScreen: Screen } = await import("./screen/apply-screen.ts");
    this.#screen = new Screen(plan, { ...environment, stdout: process.stdout });
  }

  async #closeScreen(): Promise<void> {
    const screen = this.#screen;
    this.#screen = undefined;
    await screen?.close();
  }

  #showPlan(plan: PlanDocument): void {
    this.#write({ type: "plan", plan }, printPlan(plan, { colour: this.#colour }));
  }

  #showEvent(event: ApplyEvent): void {
    if (this.#screen === undefined) {
      this.#write(event, this.#lines.print(event));
      return;
    }
    this.#writeEvent(event);
    const isOver =
      event.type === "step-done" || event.type === "step-failed" || event.type === "step-skipped";
    this.#screen.note(event, isOver ? this.#lines.print(event) : undefined);
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
    if (this.#options.json || !process.stdin.isTTY) {
      throw new CortexError("confirmation_required", "nobody is there to confirm the plan", {
        details: { plan: planSummary(plan) },
      });
    }
    return await askConsent("Apply these changes?");
  }

  /** Says what the first Ctrl-C does; rejects at the second. */
  #interruption(shutdown: { readonly first: AbortSignal; readonly second: AbortSignal }): Promise<never> {
    shutdown.first.addEventListener("abort", () => {
      this.tell("Finishing what runs; nothing new is started. Ctrl-C again ends now.");
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
    const isSilent = plan.neurons.some(({ reachable }) => !reachable);
    throw new CortexError("plan_incomplete", unsettledText(plan), isSilent ? { next: WAKE_THE_SILENT } : {});
  }

  #write(event: unknown, text: string | undefined): void {
    this.#writeEvent(event);
    if (!this.#options.json && text !== undefined && text !== "")
      process.stdout.write(`${wrapText(text, process.stdout.columns)}\n`);
  }

  #writeEvent(event: unknown): void {
    if (event === undefined) return;
    const line = `${JSON.stringify(event)}\n`;
    if (this.#options.json) process.stdout.write(line);
    // At once: whatever ends this process, the file has all that happened.
    if (this.#file !== undefined) writeSync(this.#file, line);
  }
}

function openFile(path: string): number {
  try {
    return openSync(path, "w");
  } catch (thrown) {
    throw new CortexError(
      "usage_error",
      `--json-into ${path}: ${systemErrorCode(thrown) ?? String(thrown)}`,
      {
        next: "name a file in a directory that exists and can be written",
        cause: thrown,
      },
    );
  }
}

const WAKE_THE_SILENT =
  "start the neurons that do not answer (`cortex doctor` says what is in the way), then `cortex apply` again";

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
