import { z } from "zod";
import { syncWindowSchema } from "./sync-window.ts";

export const gitopsTableSchema = z
  .strictObject({
    repo: z
      .string()
      .regex(
        /^(?:(?:https?|ssh|git|file):\/\/\S+|[A-Za-z0-9._-]+@[A-Za-z0-9.-]+:\S+|\/\S*)$/,
        "must be a git URL, such as https://git.example/fleet.git or git@git.example:fleet.git",
      )
      .optional()
      .describe("where the loop fetches desired state; absent: the repository that the fleet was read from")
      .meta({ examples: ["https://git.example/fleet.git"] }),
    branch: z
      .string()
      .regex(/^[A-Za-z0-9_][A-Za-z0-9._/-]{0,200}$/, "must be the name of a branch")
      .default("main")
      .describe("the branch that is applied"),
    interval_secs: z
      .int("must be a whole number")
      .min(5, "must be 5 or more")
      .default(60)
      .describe("seconds between two looks at the repository"),
    verify: z
      .enum(["none", "ssh", "gpg"])
      .default("none")
      .describe("ssh, gpg: unsigned or untrusted commits are never applied"),
    mode: z
      .enum(["apply", "detect"])
      .default("apply")
      .describe("apply: heal drift; detect: report it and change nothing"),
    max_unload_percent: z
      .int("must be a whole number")
      .min(0, "must be 0 or more")
      .max(100, "must be at most 100")
      .default(50)
      .describe("mass-unload guard: a plan that unloads more of what is loaded needs consent"),
    windows: z
      .array(syncWindowSchema)
      .max(64, "must be at most 64 windows")
      .optional()
      .describe(
        "[[gitops.windows]]: when the loop may change the fleet; absent: always. `cortex apply` by hand is not held back",
      )
      .meta({
        examples: [[{ kind: "allow", schedule: "0 22 * * 1-5", duration_secs: 28_800, timezone: "Europe/Berlin" }]],
      }),
  })
  .describe("how the fleet follows its repository: `cortex reconcile`, and the guards of every plan");
