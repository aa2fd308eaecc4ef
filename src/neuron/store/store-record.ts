import { createHash } from "node:crypto";
import { z } from "zod";
import { parseJson } from "../../core/json.ts";

/** Below a model root: what was downloaded, apart from what a person put there. */
export const DOWNLOADS_DIRECTORY = "downloads";
export const SOURCES_DIRECTORY = `${DOWNLOADS_DIRECTORY}/sources`;

const recordSchema = z.object({
  version: z.literal(1),
  source: z.string(),
  revision: z.string().nullable(),
  fetched_at_ms: z.number(),
  /** Paths below the model root; the first names the model. */
  files: z
    .array(
      z.object({
        path: z.string(),
        bytes: z.int().nonnegative(),
        sha256: z.string().regex(/^[0-9a-f]{64}$/),
      }),
    )
    .min(1),
});

/** What a source came to: written when all its files are whole, and the store's only index. */
export type StoreRecord = z.infer<typeof recordSchema>;

export function readRecord(text: string): StoreRecord | null {
  const parsed = recordSchema.safeParse(parseJson(text));
  return parsed.success ? parsed.data : null;
}

/** Short and tame, whatever the source is called. */
export const sourceKey = (source: string): string =>
  createHash("sha256").update(source).digest("hex").slice(0, 32);
