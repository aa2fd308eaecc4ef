import { fork, type ChildProcess } from "node:child_process";
import type { Socket } from "node:net";
import type { Clock } from "../../../core/clock.ts";
import type { Logger } from "../../../platform/logger.ts";
import type { CrewProgram } from "../crew-messages.ts";
import type { ProcessLife } from "../crew-answers.ts";
import { deathsInRow, restartDelayMs } from "../restart-delay.ts";

export interface CrewProcessesDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly onMessage: (worker: number, message: unknown) => void;
  /** Told once of each that has ended, however it did. */
  readonly onLost: (worker: number, how: string) => void;
}

interface Living {
  readonly process: ChildProcess;
  readonly startedAtMs: number;
  readonly upSinceMs: number;
  heardAtMs: number;
}

/** A worker that has said nothing for so long hangs: it tells of itself twice a second. */
const HUNG_AFTER_MS = 30_000;
const LOOK_EVERY_MS = 1000;
/** What one thread has given back is for all of them: glibc has a place for each else, and keeps most of what is in it. */
const MALLOC_ARENA_MAX = "1";

/** The processes of a crew: started, heard, and started again when they end unasked. */
export class CrewProcesses {
  readonly #deps: CrewProcessesDeps;
  readonly #living = new Map<number, Living>();
  /** By place, in a row. */
  readonly #deaths = new Map<number, number>();
  /** By place. */
  readonly #restarts = new Map<number, number>();
  readonly #alarms = new Set<() => void>();
  readonly #kill = (): void => {
    this.killAll();
  };
  #isEnding = false;
  #program: CrewProgram | null = null;

  constructor(deps: CrewProcessesDeps) {
    this.#deps = deps;
  }

  start(count: number, program: CrewProgram): void {
    // An owner that ends, however it does so, leaves nobody behind who serves without it.
    process.once("exit", this.#kill);
    this.#program = program;
    for (let worker = 1; worker <= count; worker += 1) this.#start(worker, program);
    this.#lookLater();
  }

  /** Those that run, by place. */
  get running(): readonly { readonly worker: number; readonly pid: number }[] {
    return [...this.#living].flatMap(
      ([
        worker,
        {
          process: { pid },
        },
      ]) => (pid === undefined ? [] : [{ worker, pid }]),
    );
  }

  /** Of a place. */
  lifeOf(worker: number): ProcessLife {
    const living = this.#living.get(worker);
    return {
      pid: living?.process.pid ?? null,
      upSinceMs: living?.upSinceMs ?? null,
      restarts: this.#restarts.get(worker) ?? 0,
    };
  }

  /** With a connection, which stays open here until it is closed here. */
  send(worker: number, message: unknown, socket?: Socket): void {
    const living = this.#living.get(worker);
    if (living?.process.connected !== true) return;
    // What cannot be sent has nobody to come to: the end of the process is told in a moment.
    living.process.send(message as object, socket, { keepOpen: true }, () => undefined);
  }

  /** From now on nobody is started again. */
  end(): void {
    this.#isEnding = true;
    for (const cancel of this.#alarms) cancel();
    this.#alarms.clear();
  }

  killAll(): void {
    this.end();
    for (const { process: child } of this.#living.values()) child.kill("SIGKILL");
    process.off("exit", this.#kill);
  }

  #start(worker: number, program: CrewProgram): void {
    const { clock, onMessage, onLost } = this.#deps;
    const child = fork(program.file, [...program.args], {
      env: { MALLOC_ARENA_MAX, ...program.environment },
      serialization: "advanced",
    });
    const nowMs = clock.monotonicMs();
    const living: Living = { process: child, startedAtMs: nowMs, upSinceMs: clock.nowMs(), heardAtMs: nowMs };
    this.#living.set(worker, living);
    child.on("message", (message: unknown) => {
      living.heardAtMs = clock.monotonicMs();
      onMessage(worker, message);
    });
    child.on("error", () => undefined);
    child.once("exit", (code: number | null, signal: string | null) => {
      this.#living.delete(worker);
      const how = signal === null || signal === "" ? `exit code ${code}` : signal;
      if (!this.#isEnding) this.#startAgain(worker, living, how);
      onLost(worker, how);
    });
  }

  #startAgain(worker: number, { startedAtMs, process: { pid } }: Living, how: string): void {
    const { clock, logger } = this.#deps;
    const deaths = deathsInRow(this.#deaths.get(worker) ?? 0, clock.monotonicMs() - startedAtMs);
    this.#deaths.set(worker, deaths);
    const delayMs = restartDelayMs(deaths);
    logger.error(
      { worker, pid, how, again_in_ms: delayMs },
      "gateway worker has ended, and is started again",
    );
    this.#later(delayMs, () => {
      if (this.#program === null) return;
      this.#restarts.set(worker, (this.#restarts.get(worker) ?? 0) + 1);
      this.#start(worker, this.#program);
    });
  }

  #lookLater(): void {
    this.#later(LOOK_EVERY_MS, () => {
      const { clock, logger } = this.#deps;
      for (const [worker, { process: child, heardAtMs }] of this.#living) {
        if (clock.monotonicMs() - heardAtMs < HUNG_AFTER_MS) continue;
        logger.error({ worker, pid: child.pid }, "gateway worker hangs, and is ended");
        child.kill("SIGKILL");
      }
      this.#lookLater();
    });
  }

  #later(delayMs: number, ring: () => void): void {
    if (this.#isEnding) return;
    const cancel = this.#deps.clock.alarm(delayMs, () => {
      this.#alarms.delete(cancel);
      ring();
    });
    this.#alarms.add(cancel);
  }
}
