import { z } from "zod";

/** What test/clients/run has seen, the latest of each client and trial; docs/clients-tried.md is made of it. */
export const triedSchema = z.array(
  z.object({
    client: z.string(),
    package: z.string(),
    version: z.string(),
    dialect: z.string(),
    trial: z.string(),
    passed: z.boolean(),
    seen: z.string(),
    requests: z.int(),
    seconds: z.number(),
    load_secs: z.int().optional(),
  }),
);
export type Tried = z.infer<typeof triedSchema>;
