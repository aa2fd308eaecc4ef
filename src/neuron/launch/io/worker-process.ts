import type { ChildProcess } from "node:child_process";
import type { Clock } from "../../../core/clock.ts";
import type { Logger } from "../../../platform/logger.ts";
import type { WorkerExit } from "../../residency/worker-exit.ts";
import {
  HIBERNATE_WITHIN_MS,
  workerMessageSchema,
  type SupervisorMessage,
  type WorkerMessage,
  type WorkerStart,
} from "../../../protocol/worker-messages.ts";
import { insistOnEnd, signalGroup } from "./insist.ts";
import type { BlankWorker } from "./spare-process.ts";
import { lastLinesOf } from "./worker-log.ts";

/** One model worker as a child process. */
export interface WorkerProcess {
  /** Null when the process could not be started. */
  readonly pid: number | null;
  /** Resolves when the process is gone, with its last words. Never rejects. */
  readonly exited: Promise<WorkerExit>;
  /** True once `stop` was called: an exit after that is no crash. */
  readonly stopRequested: boolean;
  /** Asks the worker to go, then insists: message, SIGTERM, SIGKILL. Resolves when the process is gone. */
  stop(): Promise<WorkerExit>;
  /** Closes the channel and does not wait for it any more. */
  release(): void;
}

export interface WorkerProcessOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly blank: BlankWorker;
  readonly start: WorkerStart;
  readonly onMessage: (message: WorkerMessage) => void;
}

/** More for one that keeps conversations: what it has begun to write it may end. */
const HIBERNATION_GRACE_MS = HIBERNATE_WITHIN_MS + 3_000;
/** An external engine is asked to end in order before it is killed. */
const EXTERNAL_GRACE_MS = 9_000;

export const extraGraceMs = (worker: {
  readonly isExternal: boolean;
  readonly hibernates: boolean;
}): number =>
  Math.max(worker.isExternal ? EXTERNAL_GRACE_MS : 0, worker.hibernates ? HIBERNATION_GRACE_MS : 0);

/** Tells a process what to load, and follows it from there on. */
export function startWorkerProcess(options: WorkerProcessOptions): WorkerProcess {
  const worker = new SupervisedWorker(options.blank.child, options);
  worker.begin();
  return worker;
}

class SupervisedWorker implements WorkerProcess {
  readonly #exit = Promise.withResolvers<WorkerExit>();
  readonly #child: ChildProcess;
  readonly #options: WorkerProcessOptions;
  readonly #gone = new AbortController();
  #stopRequested = false;

  constructor(child: ChildProcess, options: WorkerProcessOptions) {
    this.#child = child;
    this.#options = options;
  }

  /** Listens to the process and tells it what to load. */
  begin(): void {
    this.#watchExit();
    this.#child.on("message", (message) => {
      this.#receive(message);
    });
    this.#send(this.#options.start);
  }

  get exited(): Promise<WorkerExit> {
    return this.#exit.promise;
  }

  get pid(): number | null {
    return this.#child.pid ?? null;
  }

  get stopRequested(): boolean {
    return this.#stopRequested;
  }

  stop(): Promise<WorkerExit> {
    if (!this.#stopRequested) {
      this.#stopRequested = true;
      const { clock, logger, start } = this.#options;
      const graceMs = extraGraceMs({
        isExternal: start.external !== undefined,
        hibernates: start.hibernation !== undefined,
      });
      const ask = (): void => {
        this.#send({ kind: "stop-worker" });
      };
      void insistOnEnd({
        clock,
        logger,
        pid: this.#child.pid,
        gone: this.#gone.signal,
        extraGraceMs: graceMs,
        ask,
      });
    }
    return this.exited;
  }

  release(): void {
    if (this.#child.connected) this.#child.disconnect();
    this.#child.unref();
  }

  #send(message: SupervisorMessage): void {
    if (!this.#child.connected) return;
    // A worker that is going away closes the channel first; its exit says the rest.
    this.#child.send(message, () => undefined);
  }

  #receive(message: unknown): void {
    const parsed = workerMessageSchema.safeParse(message);
    if (parsed.success) this.#options.onMessage(parsed.data);
    else this.#options.logger.warn({ pid: this.pid }, "worker sent a message that is not understood");
  }

  #watchExit(): void {
    const child = this.#child;
    child.once("exit", (code, signal) => {
      void this.#end({ code, signal });
    });
    child.on("error", (error) => {
      if (child.pid !== undefined) return;
      this.#gone.abort();
      const lastLogLines = [`the worker did not start: ${error.message}`];
      this.#exit.resolve({ code: null, signal: null, lastLogLines });
    });
  }

  async #end(exit: Pick<WorkerExit, "code" | "signal">): Promise<void> {
    signalGroup(this.#child.pid, "SIGKILL");
    this.#gone.abort();
    this.#exit.resolve({ ...exit, lastLogLines: await lastLinesOf(this.#options.blank.logPath) });
  }
}
