import { type ChildProcessByStdio, spawn } from "node:child_process";
import { createServer } from "node:net";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";

const binary = fileURLToPath(new URL("../../bin/run.js", import.meta.url));

interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface CortexProcessOptions {
  readonly cwd?: string;
  readonly environment?: Readonly<Record<string, string>>;
}

/** A real `cortex` process: its output so far, lines to wait for, and its end. */
export class CortexProcess {
  readonly #child: ChildProcessByStdio<null, Readable, Readable>;
  readonly exited: Promise<Exit>;
  stdout = "";
  stderr = "";
  #watchers: (() => void)[] = [];

  constructor(commandLine: readonly string[], options: CortexProcessOptions = {}) {
    this.#child = spawn(process.execPath, [binary, ...commandLine], {
      cwd: options.cwd,
      stdio: ["ignore", "pipe", "pipe"],
      // The parent's own settings must not leak into what is tested.
      env: { PATH: process.env["PATH"], HOME: "/nonexistent", NO_COLOR: "1", ...options.environment },
    });
    // A test that times out takes its processes along.
    const killChild = () => this.#child.kill("SIGKILL");
    process.once("exit", killChild);
    this.#child.once("close", () => process.off("exit", killChild));
    this.#child.stdout.setEncoding("utf8").on("data", (text: string) => {
      this.stdout += text;
      this.#notify();
    });
    this.#child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.stderr += text;
      this.#notify();
    });
    this.exited = new Promise((resolve, reject) => {
      this.#child.once("error", reject);
      this.#child.once("close", (code, signal) => {
        resolve({ code, signal });
        this.#notify();
      });
    });
  }

  get pid(): number {
    const { pid } = this.#child;
    if (pid === undefined) throw new Error("the process did not start");
    return pid;
  }

  #notify(): void {
    for (const watcher of this.#watchers) watcher();
  }

  /** Resolves with the match once the output (stdout, then stderr) has it; rejects when the process ends without. */
  waitFor(pattern: RegExp): Promise<RegExpMatchArray> {
    return new Promise((resolve, reject) => {
      const check = () => {
        const found = this.stdout.match(pattern) ?? this.stderr.match(pattern);
        const ended = this.#child.exitCode !== null || this.#child.signalCode !== null;
        if (found === null && !ended) return;
        this.#watchers = this.#watchers.filter((watcher) => watcher !== check);
        if (found === null)
          reject(new Error(`ended without ${String(pattern)}\n${this.stdout}\n${this.stderr}`));
        else resolve(found);
      };
      this.#watchers.push(check);
      check();
    });
  }

  /** Sends a signal that does not end it. */
  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** Whoever read its output goes away. */
  closeReaders(): void {
    this.#child.stdout.destroy();
    this.#child.stderr.destroy();
  }

  /** Whatever becomes of the test: nothing of it stays. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /** Sends the signal and waits for the end. */
  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<Exit> {
    this.#child.kill(signal);
    return this.exited;
  }
}

/** Runs a command to its end. */
export async function runCortex(
  commandLine: readonly string[],
  options: CortexProcessOptions = {},
): Promise<Exit & { readonly stdout: string; readonly stderr: string }> {
  const process = new CortexProcess(commandLine, options);
  const exit = await process.exited;
  return { ...exit, stdout: process.stdout, stderr: process.stderr };
}

const givenPorts = new Set<number>();

/** A port of the loopback address that was free a moment ago, and another one each time: the system may repeat itself. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = await unusedPort();
    if (givenPorts.has(port)) continue;
    givenPorts.add(port);
    return port;
  }
}

/** The first of so many in a row that are all free. */
export async function freePortsInARow(count: number): Promise<number> {
  for (;;) {
    const first = await freePort();
    const others = Array.from({ length: count - 1 }, (_, index) => first + 1 + index);
    if (others.some((port) => givenPorts.has(port) || port > 65_535)) continue;
    const found = await Promise.all(others.map((port) => unusedPort(port).catch(() => null)));
    if (found.includes(null)) continue;
    for (const port of others) givenPorts.add(port);
    return first;
  }
}

/** Any, or this one. Throws when it is in use. */
async function unusedPort(port = 0): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", resolve);
  });
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (typeof address !== "object" || address === null) throw new Error("no address");
  return address.port;
}

/** Whether the process still runs (a zombie does not). */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
