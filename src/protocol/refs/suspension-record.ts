import { z } from "zod";
import { operatorSchema } from "./lock-record.ts";

/** Somebody has asked the loops of a fleet to change nothing: the message of a commit of `refs/cortex/suspended/<fleet>`. */
export const suspensionSchema = z.object({
  version: z.literal(1),
  fleet: z.string(),
  reason: z.string(),
  by: operatorSchema,
  since: z.iso.datetime(),
  /** When it ends by itself; null: when somebody resumes. */
  until: z.iso.datetime().nullable(),
});

export type Suspension = z.infer<typeof suspensionSchema>;
