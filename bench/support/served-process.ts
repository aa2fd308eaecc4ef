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
  /**
   * Proportional: what processes share (the text of one program that runs three times, a mapped model) counts once, in
   * parts. Resident sizes added up would count it for each.
   */
  readonly memoryMib: number;
  /** Of the process that holds the model: the largest. */
  readonly largestMib: number;
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
  const memories: number[] = [];
  for (const pid of family(root)) {
    const fields = statOf(pid);
    if (fields === undefined) continue;
    cpuMs += (Number(fields[11]) + Number(fields[12])) * TICK_MS;
    memories.push(proportionalMib(pid));
  }
  return {
    cpuMs,
    memoryMib: memories.reduce((sum, mib) => sum + mib, 0),
    largestMib: Math.max(0, ...memories),
  };
}

function family(root: number): readonly number[] {
  const pids = readdirSync("/proc").filter((entry) => /^\d+$/.test(entry));
  const parentOf = new Map(pids.map((pid) => [Number(pid), Number(statOf(Number(pid))?.[1])]));
  const isBelow = (pid: number | undefined): boolean =>
    pid !== undefined && pid > 0 && (pid === root || isBelow(parentOf.get(pid)));
  return [...parentOf.keys()].filter(isBelow);
}

function proportionalMib(pid: number): number {
  try {
    const kib = /^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"))?.[1];
    return Number(kib ?? 0) / 1024;
  } catch {
    return 0;
  }
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
