import { hash } from "node:crypto";
import { openingBytes, type Opening } from "../../protocol/openai/conversation-opening.ts";

export interface AffinityFacts {
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** The body's `prompt_cache_key`. */
  readonly cacheKey: string | null;
  readonly opening: Opening | null;
}

/** What clients send to say which conversation a request belongs to, in this order. */
const SESSION_HEADERS = ["x-session-affinity", "x-session-id"] as const;

/**
 * What requests of one conversation have in common and others have not: a session that the client names, or how the
 * conversation begins. `user` is none: one user, or one program for all of its users, has many conversations.
 * Null where nothing tells.
 */
export function affinityOf({ headers, cacheKey, opening }: AffinityFacts): string | null {
  for (const name of SESSION_HEADERS) {
    const value = headers[name];
    if (typeof value === "string" && value !== "") return hash("sha1", `session\n${value}`);
  }
  if (cacheKey !== null && cacheKey !== "") return hash("sha1", `session\n${cacheKey}`);
  const bytes = opening === null ? undefined : openingBytes(opening);
  return bytes === undefined ? null : hash("sha1", bytes);
}
