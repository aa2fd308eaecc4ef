import { z } from "zod";

/** Who runs a program: for the lock, the history and whoever waits for them. */
export const operatorSchema = z.strictObject({
  user: z.string(),
  host: z.string(),
  pid: z.int(),
  /** The page of the CI job; null outside of one. */
  run_url: z.string().nullable(),
});

/** Who may change a fleet now, as other programs read it. */
export const lockRecordSchema = z.object({
  version: z.literal(1),
  id: z.string().regex(/^[0-9a-f]{8,64}$/),
  fleet: z.string(),
  /** "apply", "reconcile": what it was taken for. */
  operation: z.string(),
  holder: operatorSchema,
  /** The commit that is applied; null for files outside of git. */
  revision: z.string().nullable(),
  /** The number of this apply among all applies of the fleet; it only rises. */
  epoch: z.int().positive(),
  ttl_ms: z.int().positive(),
  acquired_at: z.iso.datetime(),
  renewed_at: z.iso.datetime(),
  /** How often it was renewed: a lock moves whatever the clock of its holder says. */
  renewals: z.int().nonnegative(),
});

export type Operator = z.infer<typeof operatorSchema>;
export type LockRecord = z.infer<typeof lockRecordSchema>;
