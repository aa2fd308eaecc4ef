import { z } from "zod";
import { lockRecordSchema } from "./lock-record.ts";

/* The lock of a fleet as its neurons keep it, each for itself: whoever has it at most of them holds it. */

export const FLEET_NAME = /^[a-z0-9][a-z0-9-]{0,62}$/;

const token = z.string().regex(/^[0-9a-f]{8,64}$/);

export const neuronLeaseSchema = z.object({
  fleet: z.string(),
  /** What the next change is made on condition of; null when nobody holds it here. */
  token: token.nullable(),
  record: lockRecordSchema.nullable(),
  /** The highest epoch that was used up here: by leases, and by changes that the neuron obeyed. */
  last_epoch: z.int().nonnegative(),
});
export type NeuronLease = z.infer<typeof neuronLeaseSchema>;

/** Taken only where the lease still has the token that the caller saw. */
export const leaseSwapSchema = z
  .strictObject({
    expected: token.nullable(),
    token: token.nullable(),
    record: lockRecordSchema.nullable(),
    /** Used up from now on. */
    last_epoch: z.int().nonnegative().default(0),
  })
  .refine(
    (swap) => (swap.token === null) === (swap.record === null),
    "a lease has a token and a record, or neither",
  );
export type LeaseSwap = z.input<typeof leaseSwapSchema>;

export const leaseAnswerSchema = z.object({ taken: z.boolean(), lease: neuronLeaseSchema });
export type LeaseAnswer = z.infer<typeof leaseAnswerSchema>;
