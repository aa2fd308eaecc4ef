import { z } from "zod";

/** Where a fleet was read: a commit when it is in git, and whether the files differed from it. */
export const fleetRevisionSchema = z.object({
  commit: z.string().nullable(),
  dirty: z.boolean(),
  path: z.string(),
});
export type FleetRevision = z.infer<typeof fleetRevisionSchema>;
