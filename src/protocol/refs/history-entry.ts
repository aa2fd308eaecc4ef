import { z } from "zod";
import { applyRecordSchema } from "./apply-record.ts";
import { operatorSchema } from "./lock-record.ts";

/** The file of a commit of `refs/cortex/applied/<fleet>`: who applied what, and what came of it. */
export const historyEntrySchema = z.object({
  version: z.literal(1),
  /** "apply", "reconcile". */
  operation: z.string(),
  operator: operatorSchema,
  /** The plan in a line. */
  summary: z.string(),
  /** Whose signature the commit had that was applied; null where none was asked for. */
  signed_by: z.string().nullable().default(null),
  record: applyRecordSchema,
});

export type HistoryEntry = z.infer<typeof historyEntrySchema>;
