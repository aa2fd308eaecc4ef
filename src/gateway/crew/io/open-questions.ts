import { CortexError, toCortexError } from "../../../core/errors.ts";
import type { Reply } from "../crew-messages.ts";
import { errorMessage, errorOf } from "../error-message.ts";

interface Waiting {
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** Questions to another process that have no answer yet. */
export class OpenQuestions {
  readonly #open = new Map<number, Waiting>();
  #lastId = 0;

  /** Rejects with the other process's error, or when that process has gone. */
  ask<Answer>(send: (askId: number) => void): Promise<Answer> {
    this.#lastId += 1;
    const askId = this.#lastId;
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    this.#open.set(askId, {
      resolve: (answer) => {
        resolve(answer as Answer);
      },
      reject,
    });
    send(askId);
    return promise;
  }

  answered(askId: number, reply: Reply): void {
    const waiting = this.#open.get(askId);
    this.#open.delete(askId);
    if ("error" in reply) waiting?.reject(errorOf(reply.error));
    else waiting?.resolve(reply.answer);
  }

  /** Nobody answers any more. */
  abandon(): void {
    const waiting = [...this.#open.values()];
    this.#open.clear();
    for (const { reject } of waiting) {
      reject(new CortexError("draining", "the process of the gateway that was asked has ended"));
    }
  }
}

/** Never rejects. */
export async function replyOf(work: () => unknown): Promise<Reply> {
  try {
    return { answer: await work() };
  } catch (thrown) {
    return { error: errorMessage(toCortexError(thrown)) };
  }
}
