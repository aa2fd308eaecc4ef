import { z } from "zod";
import { positiveInteger } from "./number-schemas.ts";

/** What a fresh copy is asked, and what its answer is held to. */
export const modelProbeTableSchema = z
  .strictObject({
    prompt: z
      .string()
      .min(1, "must not be empty")
      .max(4096, "must be at most 4096 characters")
      .default("Say hello.")
      .describe("asked as a chat, or of a model with the capability embeddings as its input"),
    expect: z
      .string()
      .min(1, "must not be empty")
      .max(1024, "must be at most 1024 characters")
      .optional()
      .describe("text that the answer must contain, large or small letters alike; absent: it must only not be empty")
      .meta({ examples: ["paris"] }),
    dimensions: positiveInteger
      .optional()
      .describe("of a model with the capability embeddings: numbers that the vector must have")
      .meta({ examples: [1024] }),
    max_tokens: positiveInteger
      .max(4096, "must be at most 4096")
      .default(64)
      .describe("longest answer; the thoughts of a reasoning model count"),
    within_secs: positiveInteger
      .max(3600, "must be at most an hour")
      .default(60)
      .describe("until the whole answer is there"),
  })
  .describe("asked by apply of every copy that it loads, before anything that waits for the copy goes on");

export type ModelProbe = z.infer<typeof modelProbeTableSchema>;
