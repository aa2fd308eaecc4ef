import { spawn, type ChildProcess } from "node:child_process";
import { createServer } from "node:net";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import type { Clock } from "../../../core/clock.ts";
import { CortexError, systemErrorCode } from "../../../core/errors.ts";
import { withinGrace } from "../../../core/interruptible-sleep.ts";
import { present } from "../../../core/present.ts";
import { withPort } from "../command-line.ts";

export interface EngineExit {
  readonly code: number | null;
  readonly signal: string | null;
}

/** An engine that a command has started, on a port of its own on loopback. */
export interface EngineProcess {
  readonly url: string;
  readonly pid: number;
  readonly exited: Promise<EngineExit>;
  /** What it said last. */
  readonly lastLines: readonly string[];
  /** Asks it to go, and kills it after the grace period. */
  stop(): Promise<void>;
}

const STOP_GRACE_MS = 8_000;
const KEPT_LINES = 40;
const LONGEST_LINE = 2_000;

/**
 * Starts the command in the process group of this worker, so that nothing of it outlives the worker's end. What it
 * says goes into the worker's log.
 */
export async function startEngineProcess(
  command: readonly string[],
  deps: {
    readonly clock: Clock;
    readonly environment: Readonly<Record<string, string | undefined>>;
    readonly log: (line: string) => void;
  },
): Promise<EngineProcess> {
  const port = await freePort();
  const [program = "", ...args] = withPort(command, port);
  const child = spawn(program, args, {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...deps.environment, PORT: String(port) },
  });
  const lastLines: string[] = [];
  const keep = (line: string): void => {
    lastLines.push(line.slice(0, LONGEST_LINE));
    if (lastLines.length > KEPT_LINES) lastLines.shift();
    deps.log(line);
  };
  for (const stream of [child.stdout, child.stderr]) readLines(stream, keep);
  const exited = whenExited(child);
  const pid = await whenSpawned(child, program);
  return {
    url: `http://127.0.0.1:${port}`,
    pid,
    exited,
    lastLines,
    stop: async () => {
      child.kill("SIGTERM");
      await withinGrace(exited, { clock: deps.clock, graceMs: STOP_GRACE_MS });
      child.kill("SIGKILL");
      await exited;
    },
  };
}

function readLines(stream: Readable, keep: (line: string) => void): void {
  createInterface({ input: stream, crlfDelay: Infinity }).on("line", keep);
}

const whenExited = (child: ChildProcess): Promise<EngineExit> =>
  new Promise((resolve) => {
    child.once("exit", (code, signal) => resolve({ code, signal }));
    child.once("error", () => resolve({ code: null, signal: null }));
  });

const whenSpawned = (child: ChildProcess, program: string): Promise<number> =>
  new Promise((resolve, reject) => {
    child.once("spawn", () => resolve(present(child.pid, "the pid of a process that was started")));
    child.once("error", (error) => {
      const why = systemErrorCode(error) ?? error.message;
      reject(new CortexError("engine_exited", `${program} cannot be started: ${why}`, { cause: error }));
    });
  });

/** Free a moment ago; an engine that finds it taken says so and exits. */
const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });
