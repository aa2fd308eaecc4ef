import { z } from "zod";

/** Where a fleet was read: a commit when it is in git, and whether the files differed from it. */
export const fleetRevisionSchema = z.object({
  commit: z.string().nullable().describe("null outside of git"),
  dirty: z.boolean().describe("the work tree differed from the commit"),
  path: z.string().describe("as it was given"),
});
export type FleetRevision = z.infer<typeof fleetRevisionSchema>;
