import { z } from "zod";

/** `POST /v1/rerank`: the common ground of Jina's and Cohere's shapes, which their clients read alike. */
const documentSchema = z.union([z.string(), z.looseObject({ text: z.string() })]);

export const rerankRequestSchema = z.strictObject({
  model: z.string().min(1),
  query: z.string().min(1),
  documents: z.array(documentSchema).min(1),
  /** The best so many; absent means all. */
  top_n: z.int().positive().optional(),
  /** Repeat each document in its result. */
  return_documents: z.boolean().default(false),
});
export type RerankRequest = z.infer<typeof rerankRequestSchema>;

export const rerankResponseSchema = z.looseObject({
  id: z.string(),
  object: z.literal("list"),
  model: z.string(),
  /** Best first. */
  results: z.array(
    z.looseObject({
      /** Place of the document in the request. */
      index: z.int().nonnegative(),
      /** 0..1. */
      relevance_score: z.number(),
      document: z.looseObject({ text: z.string() }).optional(),
    }),
  ),
  usage: z.looseObject({ prompt_tokens: z.int(), total_tokens: z.int() }),
});
export type RerankResponse = z.infer<typeof rerankResponseSchema>;
