import { createHmac } from "node:crypto";
import type { Conditions } from "./conditions.ts";
import type { Delivery } from "./delivery.ts";
import type { RoundOutcome } from "./round-outcome.ts";

/** News of a loop. */
export interface News {
  readonly fleet: string;
  readonly at: string;
  readonly outcome: RoundOutcome;
  readonly conditions: Conditions;
}

/** For programs: the news as JSON, signed as GitHub signs its hooks where a secret is shared. */
export function webhookNotification(
  { fleet, at, outcome, conditions }: News,
  { url, secret }: { readonly url: string; readonly secret: string | undefined },
): Delivery {
  const body = JSON.stringify({ type: "reconcile", fleet, at, outcome, conditions });
  const signature =
    secret === undefined
      ? {}
      : { "x-cortex-signature-256": `sha256=${createHmac("sha256", secret).update(body).digest("hex")}` };
  return { url, body, headers: { "content-type": "application/json", "user-agent": "cortex", ...signature } };
}

/** For people, as Slack and what is compatible with it (Mattermost, Rocket.Chat, Discord at /slack) take it. */
export function slackNotification({ fleet, outcome, conditions }: News, url: string): Delivery {
  const { status, reason } = conditions.Ready;
  const mark = status === "True" ? ":white_check_mark:" : outcome.kind === "refused" ? ":x:" : ":warning:";
  const text = `${mark} *${escaped(fleet)}* ${reason}: ${escaped(outcome.message)}`;
  return {
    url,
    body: JSON.stringify({ text }),
    headers: { "content-type": "application/json", "user-agent": "cortex" },
  };
}

/** The three characters by which a message could mention somebody or become a link. */
const escaped = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
