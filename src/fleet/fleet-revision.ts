import { z } from "zod";

/** Where a fleet was read: a commit when it is in git, and whether the files differed from it. */
export const fleetRevisionSchema = z.object({
  commit: z.string().nullable().describe("null outside of git"),
  dirty: z.boolean().describe("the work tree differed from the commit"),
  path: z.string().describe("as it was given"),
  repository: z
    .array(z.string())
    .optional()
    .describe(
      "digests that tell its repository from others: of the first commit and of the remote, with the path in it; absent outside of git",
    ),
});
export type FleetRevision = z.infer<typeof fleetRevisionSchema>;
