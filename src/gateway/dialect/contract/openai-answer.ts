import { z } from "zod";

/* What translators read of OpenAI's answers: little, and leniently, since a neighbour may be a version ahead. */

export const usageSchema = z.looseObject({
  prompt_tokens: z.number().default(0),
  completion_tokens: z.number().default(0),
  prompt_tokens_details: z.looseObject({ cached_tokens: z.number().nullish() }).nullish(),
  completion_tokens_details: z.looseObject({ reasoning_tokens: z.number().nullish() }).nullish(),
});
export type ReadUsage = z.infer<typeof usageSchema>;

const callSchema = z.looseObject({
  id: z.string(),
  function: z.looseObject({ name: z.string(), arguments: z.string().default("") }),
});

export const completionSchema = z.looseObject({
  choices: z
    .array(
      z.looseObject({
        message: z.looseObject({
          content: z.string().nullish(),
          reasoning_content: z.string().nullish(),
          tool_calls: z.array(callSchema).nullish(),
        }),
        finish_reason: z.string().nullish(),
        /** The stop string that ended the answer. */
        stop_reason: z.union([z.string(), z.number()]).nullish(),
      }),
    )
    .min(1),
  usage: usageSchema.nullish(),
});

export type Completion = z.infer<typeof completionSchema>;

/** How long the parts of an answer took, where an engine tells it. */
export const timingsSchema = z
  .looseObject({ prompt_ms: z.number().default(0), predicted_ms: z.number().default(0) })
  .nullish();

const callDeltaSchema = z.looseObject({
  index: z.number(),
  id: z.string().nullish(),
  function: z.looseObject({ name: z.string().nullish(), arguments: z.string().nullish() }).nullish(),
});

export const chunkSchema = z.looseObject({
  choices: z
    .array(
      z.looseObject({
        delta: z
          .looseObject({
            content: z.string().nullish(),
            reasoning_content: z.string().nullish(),
            tool_calls: z.array(callDeltaSchema).nullish(),
          })
          .nullish(),
        finish_reason: z.string().nullish(),
        stop_reason: z.union([z.string(), z.number()]).nullish(),
      }),
    )
    .default([]),
  usage: usageSchema.nullish(),
});
export type ReadChunk = z.infer<typeof chunkSchema>;
export type CallDelta = z.infer<typeof callDeltaSchema>;
