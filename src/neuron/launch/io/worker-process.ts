import { spawn, type ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";
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
}

export interface WorkerProcessOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Path of the worker's entry file. */
  readonly entry: string;
  readonly start: WorkerStart;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly onMessage: (message: WorkerMessage) => void;
}

const STOP_GRACE_MS = 2_000;
/** More for one that keeps conversations: what it has begun to write it may end. */
export const HIBERNATION_GRACE_MS = HIBERNATE_WITHIN_MS + 3_000;
const TERM_GRACE_MS = 1_500;
/** How long the last log lines may trail the exit. */
const LAST_WORDS_MS = 250;
const KEPT_LOG_LINES = 40;
const KEPT_LINE_LENGTH = 2_000;
const CREDENTIAL_NAME = /TOKEN|SECRET|PASSWORD|API_?KEY|CREDENTIAL/i;

/**
 * Starts a worker in a process group of its own, so that a terminal's interrupt reaches only the supervisor,
 * which then ends its workers in order. The worker inherits no credentials: it runs native code on model files.
 */
export function startWorkerProcess(options: WorkerProcessOptions): WorkerProcess {
  const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", options.entry], {
    stdio: ["ignore", "pipe", "pipe", "ipc"],
    detached: true,
    env: withoutCredentials(options.environment),
  });
  const worker = new SupervisedWorker(child, options);
  worker.begin();
  return worker;
}

const withoutCredentials = (environment: Readonly<Record<string, string | undefined>>) =>
  Object.fromEntries(Object.entries(environment).filter(([name]) => !CREDENTIAL_NAME.test(name)));

class SupervisedWorker implements WorkerProcess {
  readonly #exit = Promise.withResolvers<WorkerExit>();
  readonly #child: ChildProcess;
  readonly #options: WorkerProcessOptions;
  readonly #lastLogLines: string[] = [];
  readonly #gone = new AbortController();
  #stopRequested = false;

  constructor(child: ChildProcess, options: WorkerProcessOptions) {
    this.#child = child;
    this.#options = options;
  }

  /** Listens to the process and tells it what to load. */
  begin(): void {
    this.#watchExit();
    this.#keepLogLines();
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
      void this.#insist();
    }
    return this.exited;
  }

  async #insist(): Promise<void> {
    this.#send({ kind: "stop-worker" });
    const { hibernation } = this.#options.start;
    const graceMs = STOP_GRACE_MS + (hibernation === undefined ? 0 : HIBERNATION_GRACE_MS);
    if (await this.#goneWithin(graceMs)) return;
    this.#options.logger.warn({ pid: this.pid }, "worker ignores the request to stop: SIGTERM");
    this.#signalGroup("SIGTERM");
    if (await this.#goneWithin(TERM_GRACE_MS)) return;
    this.#options.logger.warn({ pid: this.pid }, "worker ignores SIGTERM: SIGKILL");
    this.#signalGroup("SIGKILL");
  }

  async #goneWithin(durationMs: number): Promise<boolean> {
    await this.#options.clock.sleep(durationMs, this.#gone.signal).catch(() => undefined);
    return this.#gone.signal.aborted;
  }

  #send(message: SupervisorMessage): void {
    if (!this.#child.connected) return;
    // A worker that is going away closes the channel first; its exit says the rest.
    this.#child.send(message, () => undefined);
  }

  /** The whole group, so that nothing the worker started outlives it. */
  #signalGroup(signal: NodeJS.Signals): void {
    if (this.#child.pid === undefined) return;
    try {
      process.kill(-this.#child.pid, signal);
    } catch {
      // ESRCH: the group is gone already, which is what was wanted.
    }
  }

  #receive(message: unknown): void {
    const parsed = workerMessageSchema.safeParse(message);
    if (parsed.success) this.#options.onMessage(parsed.data);
    else this.#options.logger.warn({ pid: this.pid }, "worker sent a message that is not understood");
  }

  #keepLogLines(): void {
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      if (stream === null) continue;
      createInterface({ input: stream, crlfDelay: Infinity }).on("line", (line) => {
        const kept = line.slice(0, KEPT_LINE_LENGTH);
        this.#lastLogLines.push(kept);
        if (this.#lastLogLines.length > KEPT_LOG_LINES) this.#lastLogLines.shift();
        this.#options.logger.debug({ pid: this.pid, line: kept }, "worker");
      });
    }
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
    const silent = new Promise<void>((done) => {
      this.#child.once("close", () => {
        done();
      });
    });
    this.#signalGroup("SIGKILL");
    this.#gone.abort();
    await Promise.race([silent, this.#options.clock.sleep(LAST_WORDS_MS)]);
    this.#exit.resolve({ ...exit, lastLogLines: [...this.#lastLogLines] });
  }
}
