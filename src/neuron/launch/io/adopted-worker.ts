import { readFile } from "node:fs/promises";
import { Pool } from "undici";
import type { Clock } from "../../../core/clock.ts";
import { withDeadline } from "../../../core/deadline.ts";
import type { Logger } from "../../../platform/logger.ts";
import { readBoundedText } from "../../../protocol/io/bounded-body.ts";
import {
  WORKER_ROUTES,
  workerIdentitySchema,
  type WorkerIdentity,
} from "../../../protocol/worker-messages.ts";
import type { ModelWorker, WorkerAddress } from "../../residency/io/model-worker.ts";
import type { WorkerExit } from "../../residency/worker-exit.ts";
import type { HibernationShelf } from "./hibernation-shelf.ts";
import { insistOnEnd, signalGroup } from "./insist.ts";
import { extraGraceMs } from "./worker-process.ts";
import { watchWorker } from "./watchdog.ts";
import { openWorkerLine, type WorkerLine } from "./worker-line.ts";
import { lastLinesOf } from "./worker-log.ts";

const HANDSHAKE_MS = 3_000;
const ANSWER_LIMIT_MIB = 1;
/** Between two looks at a process whose line has ended. */
const LOOK_MS = 100;

export interface AdoptionDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Conversations of workers are kept: they may take longer to go. */
  readonly hibernation: HibernationShelf | undefined;
}

export interface LeftWorker {
  readonly pid: number;
  readonly address: WorkerAddress;
  /** It answers for an external engine. */
  readonly isExternal: boolean;
}

/** Who listens on the socket of a worker that an earlier neuron has left; null when nobody does who says so. */
export async function askIdentity(socketPath: string, clock: Clock): Promise<WorkerIdentity | null> {
  const pool = new Pool("http://worker", { socketPath });
  try {
    return await withDeadline({ clock, timeoutMs: HANDSHAKE_MS }, async (signal) => {
      const response = await pool.request({ method: "GET", path: WORKER_ROUTES.identity, signal });
      const text = await readBoundedText(response.body, ANSWER_LIMIT_MIB);
      return workerIdentitySchema.parse(JSON.parse(text));
    });
  } catch {
    return null;
  } finally {
    await pool.destroy();
  }
}

/** Takes a worker over that an earlier neuron has started: it is nobody's child, so its end is seen and not told. */
export function adoptWorker(worker: LeftWorker, deps: AdoptionDeps): ModelWorker {
  const adopted = new AdoptedWorker(worker, deps);
  void adopted.follow();
  return adopted;
}

class AdoptedWorker implements ModelWorker {
  readonly pid: number;
  readonly address: WorkerAddress;
  readonly #line: WorkerLine;
  readonly #deps: AdoptionDeps;
  readonly #exit = Promise.withResolvers<WorkerExit>();
  readonly #gone = new AbortController();
  readonly #released = new AbortController();
  readonly #isExternal: boolean;
  #stopRequested = false;

  constructor({ pid, address, isExternal }: LeftWorker, deps: AdoptionDeps) {
    this.pid = pid;
    this.#isExternal = isExternal;
    this.address = address;
    this.#deps = deps;
    this.#line = openWorkerLine(address.socketPath, deps.clock);
  }

  get http(): WorkerLine["http"] {
    return this.#line.http;
  }

  get wire(): WorkerLine["wire"] {
    return this.#line.wire;
  }

  get exited(): Promise<WorkerExit> {
    return this.#exit.promise;
  }

  get stopRequested(): boolean {
    return this.#stopRequested;
  }

  stop(): Promise<WorkerExit> {
    if (!this.#stopRequested) {
      this.#stopRequested = true;
      const { clock, logger, hibernation } = this.#deps;
      void insistOnEnd({
        extraGraceMs: extraGraceMs({ isExternal: this.#isExternal, hibernates: hibernation !== undefined }),
        clock,
        logger,
        pid: this.pid,
        gone: this.#gone.signal,
        ask: () => void this.#askToStop(),
      });
    }
    return this.exited;
  }

  kill(): void {
    signalGroup(this.pid, "SIGKILL");
  }

  release(): void {
    this.#released.abort();
    void this.#line.close();
  }

  /** Holds the worker as long as it runs, so that it knows that it has a neuron. Never rejects. */
  async follow(): Promise<void> {
    const ended = AbortSignal.any([this.#gone.signal, this.#released.signal]);
    void watchWorker(this, { ...this.#deps, ended });
    while (!this.#released.signal.aborted && (await isRunning(this.pid))) {
      await this.#hold();
      await this.#deps.clock.sleep(LOOK_MS, this.#released.signal).catch(() => undefined);
    }
    if (this.#released.signal.aborted) return;
    signalGroup(this.pid, "SIGKILL");
    this.#gone.abort();
    const lastLogLines = await lastLinesOf(this.address.logPath);
    await this.#line.close();
    // Only a parent is told how a process ended.
    this.#exit.resolve({ code: null, signal: null, lastLogLines });
    // What it kept may be more than this neuron allows.
    await this.#deps.hibernation?.collect();
  }

  async #hold(): Promise<void> {
    try {
      const { signal } = this.#released;
      const response = await this.http.request({ method: "GET", path: WORKER_ROUTES.hold, signal });
      await response.body.dump({ limit: Infinity, signal });
    } catch {
      // The line is gone; whether the process is too is looked at next.
    }
  }

  async #askToStop(): Promise<void> {
    await this.http.request({ method: "POST", path: WORKER_ROUTES.stop }).then(
      ({ body }) => body.dump(),
      () => undefined,
    );
  }
}

/** A process that has ended and that nobody has fetched counts as gone: it holds no memory. */
async function isRunning(pid: number): Promise<boolean> {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  return !/\) [ZX] /.test(stat);
}
