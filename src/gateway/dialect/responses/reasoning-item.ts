import type { Item } from "./responses-shape.ts";

/**
 * Agents that store nothing send reasoning back as they got it, and some send no more of it than what OpenAI
 * encrypts: so the text itself stands in that place. It holds no secret, since it was shown.
 */
const OURS = "cortex:";

export const sealedThought = (text: string): string => `${OURS}${Buffer.from(text).toString("base64")}`;

/** What was thought; of another's sealed reasoning, what was shown of it. */
export function thoughtIn({ encrypted_content: sealed, content, summary }: Item): string {
  if (sealed?.startsWith(OURS) === true) {
    return Buffer.from(sealed.slice(OURS.length), "base64").toString("utf8");
  }
  const parts = Array.isArray(content) ? content : [];
  const thought = parts.map(({ text }) => (typeof text === "string" ? text : "")).join("");
  return thought === "" ? (summary ?? []).map(({ text }) => text).join("\n") : thought;
}
