import { z } from "zod";
import { memberRoleSchema } from "../protocol/trust/join-exchange.ts";

/** A certificate that was given out, and what became of it. */
export const memberRecordSchema = z.object({
  name: z.string(),
  role: memberRoleSchema,
  serial: z.string(),
  issued_at_ms: z.number(),
  not_after_ms: z.number(),
  revoked_at_ms: z.number().nullable(),
  /** Fingerprints of the authorities that its bearer was told to trust with it, the one that signed it first. */
  authorities: z.array(z.string()).optional(),
});

export type MemberRecord = z.output<typeof memberRecordSchema>;
