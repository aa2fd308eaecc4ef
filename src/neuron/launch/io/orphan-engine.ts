import { readdir, readFile } from "node:fs/promises";
import type { Clock } from "../../../core/clock.ts";
import { INSTANCE_VARIABLE } from "../../../protocol/worker-messages.ts";
import { signalGroup } from "./insist.ts";

/** A worker that was left and is gone; whatever it started is in its process group. */
export interface LostWorker {
  readonly pid: number;
  readonly instance: string;
}

const LOOK_MS = 50;
/** A process that cannot be killed hangs in its driver, and is not waited for. */
const LOOKS = 100;

/**
 * Ends the engine of a worker that was killed while no neuron ran, which holds its memory and serves nobody. Known by the
 * process group and by the copy's name in its environment: a group of the same number may be somebody else's by now.
 * True when there was one. Where the system does not list its processes, none is found.
 */
export async function endOrphanEngine(lost: LostWorker, clock: Clock): Promise<boolean> {
  let found = false;
  for (let look = 0; look < LOOKS && (await isThere(lost)); look += 1) {
    found = true;
    signalGroup(lost.pid, "SIGKILL");
    await clock.sleep(LOOK_MS);
  }
  return found;
}

async function isThere({ pid, instance }: LostWorker): Promise<boolean> {
  const names = await readdir("/proc").catch(() => []);
  const members = names.filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    members.map(async (name) => {
      const [stat, environment] = await Promise.all([
        readFile(`/proc/${name}/stat`, "utf8").catch(() => ""),
        readFile(`/proc/${name}/environ`, "utf8").catch(() => ""),
      ]);
      // After the name in brackets: state, parent, group. One that is dead already waits for its parent only.
      const [state = "", , group] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      const isOurs = environment.split("\0").includes(`${INSTANCE_VARIABLE}=${instance}`);
      return isOurs && Number(group) === pid && !"ZX".includes(state);
    }),
  );
  return found.includes(true);
}
