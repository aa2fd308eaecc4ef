import { z } from "zod";
import { CortexError } from "../core/errors.ts";
import { parseJson } from "../core/json.ts";
import { memberRoleSchema } from "../protocol/trust/join-exchange.ts";

/**
 * An invitation as one word to carry to the other machine: where the authority answers, by which fingerprint it is
 * known, and a secret that works once. Name and role are there to be shown; the authority goes by its own record.
 */
const joinTokenSchema = z.object({
  address: z.string().regex(/^.+:\d{1,5}$/),
  /** SHA-256 of the authority's certificate, hex. */
  fingerprint: z.string().regex(/^[0-9a-f]{64}$/),
  invitation: z.string().min(1).max(64),
  secret: z.string().min(1).max(128),
  name: z.string().min(1).max(63),
  role: memberRoleSchema,
});

export type JoinToken = z.output<typeof joinTokenSchema>;

const PREFIX = "cortex-join-";

export const formatJoinToken = (token: JoinToken): string =>
  PREFIX + Buffer.from(JSON.stringify(token)).toString("base64url");

/** Throws `usage_error`, which never repeats the word: it may be a secret that was pasted in part. */
export function parseJoinToken(text: string): JoinToken {
  const word = text.trim();
  const body = word.startsWith(PREFIX) ? word.slice(PREFIX.length) : "";
  const parsed = joinTokenSchema.safeParse(parseJson(Buffer.from(body, "base64url").toString("utf8")));
  if (parsed.success) return parsed.data;
  throw new CortexError("usage_error", "this is no invitation, or not all of it", {
    next: `give the whole word that begins with ${PREFIX}, as cortex neuron invite prints it`,
  });
}
