import { createHmac, timingSafeEqual } from "node:crypto";
import { isRecord, parseJson } from "../../core/json.ts";

/** What a host sent. Header names in lower case. */
export interface HookRequest {
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: Buffer;
}

export type HookVerdict = "push" | "other" | "unauthorized";

/**
 * GitHub, Gitea and Forgejo sign the body with the shared secret; GitLab sends the secret itself. "push": the branch moved;
 * "other": nothing that concerns it. A payload that names no ref counts as a push: a look costs little.
 */
export function judgeHook({ headers, body }: HookRequest, secret: string, branch: string): HookVerdict {
  const digest = createHmac("sha256", secret).update(body).digest("hex");
  const signed = [
    headers["x-hub-signature-256"]?.replace(/^sha256=/, ""),
    headers["x-forgejo-signature"],
    headers["x-gitea-signature"],
  ].find((signature) => signature !== undefined);
  const token = headers["x-gitlab-token"];
  const isKnown =
    signed === undefined ? token !== undefined && isSame(token, secret) : isSame(signed, digest);
  if (!isKnown) return "unauthorized";
  const payload = parseJson(body.toString("utf8"));
  const ref = isRecord(payload) ? payload["ref"] : undefined;
  return ref === undefined || ref === `refs/heads/${branch}` ? "push" : "other";
}

/** In a time that tells nothing of how much of it was right. */
const isSame = (left: string, right: string): boolean => timingSafeEqual(hash(left), hash(right));

const hash = (text: string): Buffer => createHmac("sha256", "equal").update(text).digest();
