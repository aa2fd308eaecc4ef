import { request } from "undici";
import type { Clock } from "../../../core/clock.ts";
import { systemErrorCode } from "../../../core/errors.ts";
import { withDeadline } from "../../../core/deadline.ts";
import { readBoundedText } from "../../../protocol/io/bounded-body.ts";
import {
  judgeDelivery,
  MOST_ATTEMPTS,
  pauseBefore,
  type Delivery,
  type DeliveryAnswer,
} from "../delivery.ts";

export interface OutboxOptions {
  /** What people call the receiver: its address may be a secret. */
  readonly name: string;
  readonly clock: Clock;
  readonly onProblem: (text: string) => void;
}

const CALL_TIMEOUT_MS = 10_000;
/** Whoever was away for long wants to know how it is now, and not all that was. */
const MOST_WAITING = 50;
const ANSWER_MIB = 1;

class TooLate extends Error {
  override readonly name = "TooLate";
}

const timedOut = (): TooLate => new TooLate(`no answer within ${CALL_TIMEOUT_MS / 1000} s`);

/**
 * Sends one thing after another to one receiver, and again where it may be taken later. Nobody waits for it: `post` returns
 * at once, and what cannot be delivered is told and dropped.
 */
export class Outbox {
  readonly #options: OutboxOptions;
  readonly #closed = new AbortController();
  readonly #waiting: Delivery[] = [];
  #work: Promise<void> | undefined;

  constructor(options: OutboxOptions) {
    this.#options = options;
  }

  post(delivery: Delivery): void {
    if (this.#closed.signal.aborted) return;
    this.#waiting.push(delivery);
    if (this.#waiting.length > MOST_WAITING) this.#waiting.shift();
    this.#work ??= this.#sendAll();
  }

  /** Gives what waits a last while, and then drops it. */
  async close(graceMs: number): Promise<void> {
    const { clock } = this.#options;
    const cancel = clock.alarm(graceMs, () => this.#closed.abort());
    await this.#work;
    cancel();
    this.#closed.abort();
  }

  async #sendAll(): Promise<void> {
    const { name, onProblem } = this.#options;
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      await this.#deliver(next);
      if (!this.#closed.signal.aborted || this.#waiting.length === 0) continue;
      onProblem(`${name} was not told ${this.#waiting.length} more: the loop has ended`);
      this.#waiting.length = 0;
    }
    this.#work = undefined;
  }

  async #deliver(delivery: Delivery): Promise<void> {
    const { clock, name, onProblem } = this.#options;
    for (let attempts = 1; ; attempts += 1) {
      const answer = await this.#send(delivery);
      const verdict =
        typeof answer === "string" ? ({ kind: "again", afterMs: undefined } as const) : judgeDelivery(answer);
      if (verdict.kind === "delivered") return;
      const said = typeof answer === "string" ? answer : `it answers ${answer.status}`;
      if (verdict.kind === "refused" || attempts >= MOST_ATTEMPTS || this.#closed.signal.aborted) {
        onProblem(`${name} was not told: ${said}${attempts === 1 ? "" : `, ${attempts} times`}`);
        return;
      }
      await clock.sleep(verdict.afterMs ?? pauseBefore(attempts), this.#closed.signal).catch(() => undefined);
    }
  }

  /** The answer, or why there is none. Redirects are not followed: they would take the token along. */
  async #send({ url, headers, body }: Delivery): Promise<DeliveryAnswer | string> {
    const { clock } = this.#options;
    try {
      return await withDeadline(
        { clock, timeoutMs: CALL_TIMEOUT_MS, timedOut, signal: this.#closed.signal },
        async (signal) => {
          const answer = await request(url, { method: "POST", headers, body, signal });
          const retryAfter = answer.headers["retry-after"];
          return {
            status: answer.statusCode,
            retryAfter: typeof retryAfter === "string" ? retryAfter : undefined,
            text: await readBoundedText(answer.body, ANSWER_MIB),
          };
        },
      );
    } catch (thrown) {
      if (this.#closed.signal.aborted) return "the loop has ended";
      // Only the code: messages of failed connections name the address.
      return systemErrorCode(thrown) ?? (thrown instanceof TooLate ? thrown.message : "no answer");
    }
  }
}
