import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { CortexError, type ErrorCode } from "../../../core/errors.ts";
import type { DialectRoute } from "../contract/dialect.ts";
import {
  LONG_BODY_BYTES,
  refuseDeep,
  translateBody,
  translatedBody,
  type OpenAiRequest,
  type TranslatedAway,
  type TranslationContext,
} from "../translate-body.ts";

export interface LongRequest {
  readonly path: string;
  readonly body: Uint8Array;
  readonly nowSecs: number;
}

export type TranslationReply =
  | ({ readonly kind: "translated" } & TranslatedAway)
  | {
      readonly kind: "refused";
      readonly code: ErrorCode;
      readonly message: string;
      readonly param: string | undefined;
      readonly next: string;
    };

/** A body of 32 MiB with a million messages takes less. */
const MEMORY_MB = 1024;

/**
 * Translates long bodies in a thread of its own, one after the other: parsing 30 MiB takes seconds, in which no stream
 * of anybody went on. The thread is started for the first of them, and keeps no process alive.
 */
export class TranslationThread {
  readonly #memoryMb: number;
  #worker: Worker | null = null;
  #last: Promise<unknown> = Promise.resolve();

  constructor({ memoryMb = MEMORY_MB }: { readonly memoryMb?: number } = {}) {
    this.#memoryMb = memoryMb;
  }

  /** Throws as `translateBody` does. */
  async translate(route: DialectRoute, body: Buffer, context: TranslationContext): Promise<OpenAiRequest> {
    if (body.length <= LONG_BODY_BYTES) return translateBody(route, body, context);
    refuseDeep(context.depth);
    const { nowSecs } = context.identity;
    const reply = await this.#inTurn({ path: route.path, body, nowSecs });
    if (reply.kind === "translated") return translatedBody(route, reply, context);
    const { code, message, param, next } = reply;
    throw new CortexError(code, message, { next, ...(param === undefined ? {} : { param }) });
  }

  async close(): Promise<void> {
    await this.#worker?.terminate();
  }

  /** One at a time: what waits here has not been copied yet. */
  #inTurn(request: LongRequest): Promise<TranslationReply> {
    const turn = this.#last.then(() => this.#ask(request));
    // Not what came of it, which is as long as the body.
    this.#last = turn.then(
      () => null,
      () => null,
    );
    return turn;
  }

  async #ask(request: LongRequest): Promise<TranslationReply> {
    const worker = (this.#worker ??= this.#start());
    worker.ref();
    const ended = new AbortController();
    const { signal } = ended;
    try {
      // Rejects with what ended the thread, where an error did.
      const answer = once(worker, "message", { signal });
      const exit = once(worker, "exit", { signal });
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread is no window
      worker.postMessage(request);
      const [reply] = (await Promise.race([answer, exit])) as [TranslationReply | number];
      if (typeof reply === "number") throw new Error(`the thread ended with ${reply}`);
      return reply;
    } catch (cause) {
      throw deathOfThread(cause);
    } finally {
      ended.abort();
      worker.unref();
    }
  }

  #start(): Worker {
    const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
    const worker = new Worker(new URL(`./translation-worker.${extension}`, import.meta.url), {
      resourceLimits: { maxOldGenerationSizeMb: this.#memoryMb },
    });
    // What it was asked is refused; the next request gets another thread.
    const forget = (): void => {
      if (this.#worker === worker) this.#worker = null;
    };
    worker.on("error", forget);
    worker.once("exit", forget);
    return worker;
  }
}

/** What the body has done is the request's fault; whatever else ends a thread is ours. */
function deathOfThread(cause: unknown): CortexError {
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
  return code === "ERR_WORKER_OUT_OF_MEMORY"
    ? new CortexError("invalid_request_body", "the request body takes more memory than there is for it", {
        cause,
      })
    : new CortexError("internal_error", "the thread that reads long bodies has ended", { cause });
}
