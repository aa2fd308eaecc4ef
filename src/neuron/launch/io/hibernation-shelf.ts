import { chmod, mkdir, readdir, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Clock } from "../../../core/clock.ts";
import type { Logger } from "../../../platform/logger.ts";
import type { WorkerStart } from "../../../protocol/worker-messages.ts";
import { statesToRemove, type KeptState } from "../hibernation-collection.ts";

export interface HibernationConfig {
  readonly directory: string;
  readonly mostBytes: number;
  readonly oldestMs?: number | undefined;
  readonly leastRecomputeMs?: number | undefined;
}

/** Where workers keep the states of conversations, held to a size and an age. */
export interface HibernationShelf {
  readonly forWorkers: WorkerStart["hibernation"];
  /** Removes what is too much; never rejects. */
  collect(): Promise<void>;
}

const WEEK_MS = 7 * 24 * 3_600_000;
/** Half of a state that is so old is not being written any more, by whatever neuron. */
const ABANDONED_MS = 10 * 60_000;
/** A prompt that is computed sooner is not worth its file. */
const LEAST_RECOMPUTE_MS = 250;

/** Makes the directory, for this user only, and removes what an earlier neuron left too much or half written. */
export async function openHibernationShelf(
  config: HibernationConfig,
  { clock, logger }: { readonly clock: Clock; readonly logger: Logger },
): Promise<HibernationShelf> {
  const { directory, mostBytes, oldestMs = WEEK_MS } = config;
  await mkdir(directory, { recursive: true });
  await chmod(directory, 0o700);
  const collect = async (): Promise<void> => {
    try {
      const { states } = await readShelf(directory);
      for (const { path } of statesToRemove(states, { mostBytes, oldestMs, nowMs: clock.nowMs() })) {
        await removeState(path);
      }
    } catch (thrown) {
      logger.warn({ err: thrown }, "kept conversations could not be collected");
    }
  };
  const { halves } = await readShelf(directory);
  for (const half of halves) {
    const { mtimeMs } = await stat(half);
    if (clock.nowMs() - mtimeMs > ABANDONED_MS) await rm(half, { force: true });
  }
  await collect();
  return {
    forWorkers: {
      directory,
      most_bytes: mostBytes,
      least_recompute_ms: config.leastRecomputeMs ?? LEAST_RECOMPUTE_MS,
    },
    collect,
  };
}

interface Shelf {
  readonly states: readonly KeptState[];
  /** Files that are part of no whole state. */
  readonly halves: readonly string[];
}

async function readShelf(directory: string): Promise<Shelf> {
  const names = await readdir(directory, { recursive: true });
  const known = new Set(names);
  const states: KeptState[] = [];
  const halves: string[] = [];
  for (const name of names) {
    const [, stem = "", ending = ""] = /^(.+)\.(json|state|partial)$/.exec(name) ?? [];
    const path = join(directory, stem);
    if (ending === "json" && known.has(`${stem}.state`)) {
      const record = await stat(`${path}.json`);
      states.push({
        path,
        bytes: record.size + (await stat(`${path}.state`)).size,
        lastUsedMs: record.mtimeMs,
      });
    } else if (ending !== "" && !(ending === "state" && known.has(`${stem}.json`))) {
      halves.push(join(directory, name));
    }
  }
  return { states, halves };
}

/** The record first: without it nobody reads the state. */
async function removeState(path: string): Promise<void> {
  await rm(`${path}.json`, { force: true });
  await rm(`${path}.state`, { force: true });
  const left = await readdir(dirname(path)).catch(() => [""]);
  if (left.length === 0) await rm(dirname(path), { recursive: true, force: true });
}
