import { execFile } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { MIB_BYTES } from "../../../core/quantities.ts";
import { graphicsMemoryOf, groupOf, residentKib } from "../process-memory.ts";

const DRIVER_MS = 5_000;

/** What the processes of a group hold: of the graphics cards, or of the machine; null where nobody says. */
export async function measureGroup(
  groupId: number,
  { gpu }: { readonly gpu: boolean },
): Promise<number | null> {
  const pids = await processesOf(groupId);
  if (pids.size === 0) return null;
  return gpu ? await graphicsMemory(pids) : await residentMemory(pids);
}

async function processesOf(groupId: number): Promise<ReadonlySet<number>> {
  const entries = await readdir("/proc").catch(() => []);
  const pids = entries.filter((name) => /^\d+$/.test(name)).map(Number);
  const groups = await Promise.all(pids.map(async (pid) => groupOf(await readText(`/proc/${pid}/stat`))));
  // This process is the group's leader, and no part of the engine.
  return new Set(pids.filter((pid, at) => groups[at] === groupId && pid !== process.pid));
}

async function residentMemory(pids: ReadonlySet<number>): Promise<number | null> {
  const sizes = await Promise.all(
    [...pids].map(async (pid) => residentKib(await readText(`/proc/${pid}/status`))),
  );
  const total = sizes.reduce<number>((sum, size) => sum + (size ?? 0), 0);
  return total === 0 ? null : total * 1024;
}

function graphicsMemory(pids: ReadonlySet<number>): Promise<number | null> {
  const args = ["--query-compute-apps=pid,used_memory", "--format=csv,noheader,nounits"];
  return new Promise((resolve) => {
    execFile("nvidia-smi", args, { timeout: DRIVER_MS, killSignal: "SIGKILL" }, (error, stdout) => {
      const mib = error === null ? graphicsMemoryOf(stdout, pids) : null;
      resolve(mib === null ? null : mib * MIB_BYTES);
    });
  });
}

const readText = (path: string): Promise<string> => readFile(path, "utf8").catch(() => "");
