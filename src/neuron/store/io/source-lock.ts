import { randomUUID } from "node:crypto";
import { link, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import type { Clock } from "../../../core/clock.ts";
import { systemErrorCode } from "../../../core/errors.ts";

const ASK_AGAIN_MS = 1000;

/**
 * One process at a time works on a source, also where a neuron and `cortex pull` share a store. The lock names its
 * process; one whose process is gone is taken over. Within a process the store itself sees to it.
 */
export async function lockSource(
  path: string,
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<{ release(): Promise<void> }> {
  await mkdir(dirname(path), { recursive: true });
  const draft = `${path}.${randomUUID()}`;
  try {
    await writeFile(draft, `${process.pid}\n`);
    for (;;) {
      signal.throwIfAborted();
      // A link appears whole or not at all, unlike a file that is made and then written.
      const taken = await link(draft, path).then(
        () => true,
        (thrown: unknown) => {
          if (systemErrorCode(thrown) === "EEXIST") return false;
          throw thrown;
        },
      );
      if (taken) return { release: () => rm(path, { force: true }) };
      if (await isHeldElsewhere(path)) await clock.sleep(ASK_AGAIN_MS, signal);
      else await rm(path, { force: true });
    }
  } finally {
    await rm(draft, { force: true });
  }
}

/** False when no other process is left that could hold it. */
export async function isHeldElsewhere(path: string): Promise<boolean> {
  const pid = Number(await readFile(path, "utf8").catch(() => ""));
  // Our own number in a lock that we do not hold: we are the successor that was given the number again.
  if (!Number.isInteger(pid) || pid <= 0 || pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (thrown) {
    return systemErrorCode(thrown) === "EPERM";
  }
}
