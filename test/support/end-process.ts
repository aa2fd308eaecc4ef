import type { ChildProcess } from "node:child_process";
import { once } from "node:events";

/** Its end is told once: who begins to wait for it afterwards waits for ever. */
export const hasEnded = ({ exitCode, signalCode }: ChildProcess): boolean =>
  exitCode !== null || signalCode !== null;

/** Sends the signal and waits for the end, which may have come before. */
export async function endProcess(child: ChildProcess, signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
  if (hasEnded(child)) return;
  const ended = once(child, "exit");
  child.kill(signal);
  await ended;
}
