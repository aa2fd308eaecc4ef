import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import type { Clock } from "../../core/clock.ts";
import { systemErrorCode } from "../../core/errors.ts";
import { parseJson } from "../../core/json.ts";
import type { Logger } from "../../platform/logger.ts";
import { replaceDurably } from "../../platform/replace-durably.ts";
import { NO_SUSPECTS, type Suspects } from "../../protocol/openai/suspects.ts";

/** Requests that ended workers, over restarts: a client that sends one again must not find a neuron that forgot it. */
export interface SuspectFile {
  /** What an earlier neuron knew. */
  readonly known: Suspects;
  /** Writes in the background; never fails. */
  keep(suspects: Suspects): void;
  /** Resolves when what was kept last is on disk, or could not be written. */
  flush(): Promise<void>;
}

export const FORGETFUL: SuspectFile = {
  known: NO_SUSPECTS,
  keep: () => undefined,
  flush: () => Promise.resolve(),
};

/** By the clock on the wall: the monotonic one begins anew with the machine. Fingerprints say nothing of what was asked. */
const fileSchema = z.object({
  version: z.literal(1),
  suspects: z
    .array(
      z.object({
        key: z.string().min(1).max(1024),
        deaths: z.int().positive().max(1000),
        condemned: z.boolean(),
        died_at_ms: z.int().nonnegative(),
      }),
    )
    .max(1000),
});

/**
 * A file that cannot be read is left behind with a word: the worst that comes of it is one more death. How long
 * suspicion lasts is `suspects.ts`'s, so old ones are read too.
 */
export async function openSuspectFile(
  directory: string | undefined,
  deps: { readonly clock: Clock; readonly logger: Logger },
): Promise<SuspectFile> {
  if (directory === undefined) return FORGETFUL;
  const path = join(directory, "suspects.json");
  const known = await readSuspects(path, deps);
  let latest: Suspects = known;
  let writing: Promise<void> = Promise.resolve();
  const write = async (): Promise<void> => {
    try {
      await replaceDurably(path, textOf(latest, deps.clock));
    } catch (thrown) {
      deps.logger.warn({ err: thrown, path }, "requests that ended workers could not be kept");
    }
  };
  return {
    known,
    keep: (suspects) => {
      latest = suspects;
      writing = writing.then(write);
    },
    flush: () => writing,
  };
}

async function readSuspects(
  path: string,
  { clock, logger }: { readonly clock: Clock; readonly logger: Logger },
): Promise<Suspects> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (thrown) {
    if (systemErrorCode(thrown) !== "ENOENT") logger.warn({ err: thrown, path }, "file is not read");
    return NO_SUSPECTS;
  }
  const parsed = fileSchema.safeParse(parseJson(text));
  if (!parsed.success) {
    logger.warn({ path }, "requests that ended workers are forgotten: the file is damaged");
    return NO_SUSPECTS;
  }
  const nowMs = clock.nowMs();
  const sinceStartMs = clock.monotonicMs();
  return new Map(
    parsed.data.suspects.map(({ key, deaths, condemned, died_at_ms: diedAtMs }) => {
      // A clock that was set back makes it a death of just now.
      const agoMs = Math.max(0, nowMs - diedAtMs);
      return [key, { deaths, condemned, lastDeathMs: sinceStartMs - agoMs }];
    }),
  );
}

function textOf(suspects: Suspects, clock: Clock): string {
  const startedAtMs = clock.nowMs() - clock.monotonicMs();
  const file: z.infer<typeof fileSchema> = {
    version: 1,
    suspects: [...suspects].map(([key, { deaths, condemned, lastDeathMs }]) => ({
      key,
      deaths,
      condemned,
      died_at_ms: Math.max(0, Math.round(startedAtMs + lastDeathMs)),
    })),
  };
  return `${JSON.stringify(file)}\n`;
}
