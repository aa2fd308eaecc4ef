import { spawn, type ChildProcess } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { rm } from "node:fs/promises";
import { getCompileCacheDir } from "node:module";
import { dirname, join } from "node:path";
import { withoutCredentials } from "../../../platform/environment.ts";
import { signalGroup } from "./insist.ts";

/** A process that runs the worker's program and was not told what to load yet. */
export interface BlankWorker {
  readonly child: ChildProcess;
  readonly socketPath: string;
  /** A file and not a pipe, which would break under a worker that outlives its neuron. */
  readonly logPath: string;
}

export interface SpareProcessOptions {
  /** Path of the worker's entry file. */
  readonly entry: string;
  /** Private directory for sockets and logs. */
  readonly directory: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** False: every worker is started when it is wanted. */
  readonly keepsOne: boolean;
  /** The machine computes on its processor only, for all that can be seen. */
  readonly onCpuOnly: boolean;
}

/**
 * What dies young has 2 MiB to live in, not 16: tokens and events of streams are small and short-lived, and up to three times
 * that room stayed in memory for each worker, the one that is kept ready among them. A token costs as much CPU as with 4.
 */
const WORKER_FLAGS = ["--disable-warning=ExperimentalWarning", "--max-semi-space-size=2"];
/** What one thread has given back is for all of them: glibc has a place for each else, and keeps most of what is in it. */
const MALLOC_ARENA_MAX = "1";
/**
 * The binding hands each step to libuv's threads, which take turns: left to four of them a step begins on another core than the
 * one before ended on, with nothing of the model in its caches. With one, one stream is 1.2 to 1.5 times as fast where two threads
 * compute, and as fast or a little faster where one does (two cores; bench/worker/token-gaps.ts). On a GPU it was not measured: many
 * streams are sampled side by side there.
 */
const ON_CPU_ONLY = { UV_THREADPOOL_SIZE: "1" };

/**
 * One process of the worker's program is kept ready: reading that program takes longer than loading a small model. It
 * ends with the neuron, whose channel it listens to.
 */
export class SpareProcess {
  readonly #options: SpareProcessOptions;
  #spare: BlankWorker | null = null;
  #started = 0;
  #closed = false;

  constructor(options: SpareProcessOptions) {
    this.#options = options;
  }

  /** Starts one, unless there is one. */
  prepare(): void {
    if (!this.#options.keepsOne || this.#closed || isUsable(this.#spare)) return;
    this.#dropSpare();
    const blank = this.start();
    // Nobody waits for it: the neuron may end as if it were not there.
    blank.child.unref();
    blank.child.channel?.unref();
    // One that cannot start is found out by the launch that wants it.
    blank.child.on("error", () => undefined);
    this.#spare = blank;
  }

  /** The one that is ready, else a new one. */
  take(): BlankWorker {
    const spare = this.#spare;
    if (spare === null || !isUsable(spare)) {
      this.#dropSpare();
      return this.start();
    }
    this.#spare = null;
    spare.child.ref();
    spare.child.channel?.ref();
    return spare;
  }

  close(): void {
    this.#closed = true;
    this.#dropSpare();
  }

  #dropSpare(): void {
    if (this.#spare === null) return;
    const { child, logPath } = this.#spare;
    this.#spare = null;
    if (child.exitCode === null && child.signalCode === null) signalGroup(child.pid, "SIGKILL");
    void rm(logPath, { force: true });
  }

  /**
   * Starts one, of the program that is kept ready or of another. It runs in a process group of its own, so that a
   * terminal's interrupt reaches only the supervisor, which then ends its workers in order. It inherits no credentials: it runs native code on model files.
   */
  start(entry = this.#options.entry): BlankWorker {
    const { directory, environment, onCpuOnly } = this.#options;
    this.#started += 1;
    const socketPath = join(directory, `${this.#started}.sock`);
    const logPath = join(directory, `${this.#started}.log`);
    const log = openSync(logPath, "a", 0o600);
    try {
      const child = spawn(process.execPath, [...WORKER_FLAGS, entry], {
        stdio: ["ignore", log, log, "ipc"],
        detached: true,
        env: {
          MALLOC_ARENA_MAX,
          ...(onCpuOnly ? ON_CPU_ONLY : {}),
          ...withoutCredentials(environment),
          ...compileCache(),
        },
      });
      return { child, socketPath, logPath };
    } finally {
      closeSync(log);
    }
  }
}

const isUsable = (blank: BlankWorker | null): boolean =>
  blank !== null && blank.child.connected && blank.child.exitCode === null && blank.child.signalCode === null;

/** Where this process keeps compiled code, if it does: most of what a worker imports is the same each time. */
function compileCache(): Readonly<Record<string, string>> {
  const directory = getCompileCacheDir();
  // Node names a folder in it after its own version.
  return directory === undefined ? {} : { NODE_COMPILE_CACHE: dirname(directory) };
}
