import { spawn, type ChildProcess } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";

/** A server that is measured. Linux only: what it used is read from /proc. */
export interface Served {
  readonly name: string;
  readonly base: string;
  readonly child: ChildProcess;
}

export interface Used {
  readonly cpuMs: number;
  readonly rssMib: number;
}

const TICK_MS = 10;
const READY_POLL_MS = 5;
const STOP_GRACE_MS = 8000;

export function start(
  name: string,
  command: readonly string[],
  more: { readonly port: number; readonly env?: Readonly<Record<string, string>> },
): Served {
  const [binary, ...args] = command;
  const child = spawn(binary ?? "", args, { stdio: "ignore", env: { ...process.env, ...more.env } });
  return { name, base: `http://127.0.0.1:${more.port}`, child };
}

/** Resolves when the server answers `/health` with 200; rejects when it ends before. */
export async function healthy({ name, base, child }: Served): Promise<void> {
  for (;;) {
    if (child.exitCode !== null || child.signalCode !== null) throw new Error(`${name} ended at its start`);
    const answer = await fetch(`${base}/health`).catch(() => undefined);
    if (answer?.status === 200) return;
    await delay(READY_POLL_MS);
  }
}

export async function stop({ child }: Served): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGTERM");
  const killed = delay(STOP_GRACE_MS).then(() => child.kill("SIGKILL"));
  await Promise.race([ended, killed]);
}

/** Processor time and memory of a process and all below it. */
export function usedBy(root: number): Used {
  let cpuMs = 0;
  let rssMib = 0;
  for (const pid of family(root)) {
    const fields = statOf(pid);
    if (fields === undefined) continue;
    cpuMs += (Number(fields[11]) + Number(fields[12])) * TICK_MS;
    rssMib += (Number(fields[21]) * 4096) / 2 ** 20;
  }
  return { cpuMs, rssMib };
}

function family(root: number): readonly number[] {
  const pids = readdirSync("/proc").filter((entry) => /^\d+$/.test(entry));
  const parentOf = new Map(pids.map((pid) => [Number(pid), Number(statOf(Number(pid))?.[1])]));
  const isBelow = (pid: number | undefined): boolean =>
    pid !== undefined && pid > 0 && (pid === root || isBelow(parentOf.get(pid)));
  return [...parentOf.keys()].filter(isBelow);
}

/** The fields of /proc/PID/stat after the name, which may contain anything. */
function statOf(pid: number): readonly string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "latin1");
    return text.slice(text.lastIndexOf(")") + 2).split(" ");
  } catch {
    return undefined;
  }
}
