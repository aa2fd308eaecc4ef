import { z } from "zod";

const conditionSchema = z.looseObject({
  status: z.enum(["True", "False", "Unknown"]),
  reason: z.string(),
  message: z.string(),
});

/** `GET /status` of a reconcile loop, in the part that those who watch it read. Lenient: a loop may be a version ahead. */
export const loopStatusSchema = z.looseObject({
  conditions: z.looseObject({
    Ready: conditionSchema,
    Reconciling: conditionSchema,
    Stalled: conditionSchema,
  }),
  /** Null before the first round has ended. */
  last_round: z.looseObject({ commit: z.string().nullish() }).nullable(),
});

export type LoopStatus = z.infer<typeof loopStatusSchema>;
