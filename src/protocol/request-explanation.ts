/**
 * `GET /fleet/requests` and `GET /fleet/requests/{id}`: where requests went and why, and what they waited for. Nothing
 * of what was asked or answered is in them.
 */
import { z } from "zod";

const timesSchema = { after_ms: z.number().nonnegative() };
/** Null while it goes on. */
const tookMs = z.number().nonnegative().nullable();

export const requestLoadSchema = z.object({
  node: z.string(),
  /** Somebody else had begun it. */
  joined: z.boolean(),
  /** Models that were to make room. */
  evict: z.array(z.string()),
  /** Milliseconds after the request came; negative: it was under way already. */
  after_ms: z.number(),
  took_ms: tookMs,
  /** `loaded`, `failed`, `stale`, `vanished`, `unreachable`, `cancelled`; null while it goes on. */
  outcome: z.string().nullable(),
});

export const requestStepSchema = z.discriminatedUnion("kind", [
  /** The router decided. */
  z.object({
    kind: z.literal("routed"),
    ...timesSchema,
    decision: z.enum(["serve", "wait", "refuse"]),
    node: z.string().nullable(),
    code: z.string().nullable(),
    considered: z.array(z.object({ node: z.string(), verdict: z.string(), work: z.number().optional() })),
  }),
  /** It waited for a place, and for loads where there was none. */
  z.object({
    kind: z.literal("waited"),
    ...timesSchema,
    took_ms: tookMs,
    /** When it came into the queue; 1 is next. */
    position: z.int().positive().nullable(),
    waiting: z.int().nonnegative(),
    /** `granted`, `refused`, `decide-again`, `cancelled`; null while it waits. */
    outcome: z.string().nullable(),
    node: z.string().nullable(),
    code: z.string().nullable(),
    loads: z.array(requestLoadSchema),
  }),
  /** It was sent to a copy. */
  z.object({
    kind: z.literal("sent"),
    ...timesSchema,
    took_ms: tookMs,
    node: z.string(),
    /** `completed`, `failed-before-answer`, `answered-error`, `cut`, `aborted`; null while it is answered. */
    outcome: z.string().nullable(),
    code: z.string().nullable(),
  }),
  /** It goes on after a failure. */
  z.object({ kind: z.literal("retried"), ...timesSchema, reason: z.string() }),
]);
export type RequestStepReport = z.infer<typeof requestStepSchema>;

export const requestSummarySchema = z.object({
  request_id: z.string(),
  /** Milliseconds since the epoch. */
  started_at_ms: z.number(),
  /** Null while it is open. */
  duration_ms: z.number().nonnegative().nullable(),
  route: z.string(),
  /** Null for one that the fleet does not know. */
  model: z.string().nullable(),
  node: z.string().nullable(),
  key: z.string(),
  stream: z.boolean(),
  /** As logged and counted: 499 for a client that left; null while it is open. */
  status: z.int().nullable(),
  code: z.string().nullable(),
  retries: z.int().nonnegative(),
  cold_start: z.boolean(),
  /** Until the first token of a stream. */
  first_token_ms: z.number().nonnegative().nullable(),
  /** Which process of a gateway that has several (`--workers`); absent from one that has not. */
  worker: z.int().positive().optional(),
});
export type RequestSummary = z.infer<typeof requestSummarySchema>;

export const requestExplanationSchema = requestSummarySchema.extend({
  /** As the neuron told them; null where it did not. */
  tokens: z
    .object({
      prompt: z.int().nonnegative(),
      completion: z.int().nonnegative(),
      cached: z.int().nonnegative(),
      reasoning: z.int().nonnegative(),
    })
    .nullable(),
  steps: z.array(requestStepSchema),
});
export type RequestExplanation = z.infer<typeof requestExplanationSchema>;

export const requestListSchema = z.object({
  /** Latest first. */
  requests: z.array(requestSummarySchema),
  /** Requests that the gateway remembers at most. */
  kept: z.int().positive(),
});
export type RequestList = z.infer<typeof requestListSchema>;
