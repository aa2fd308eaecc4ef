import { CortexError } from "../../core/errors.ts";
import { isRecord, parseJson } from "../../core/json.ts";

/** Which kept answer, or item of one, a request goes on from that is not kept here; null: that is not what failed. */
export function missingAnswer(thrown: unknown, body: Uint8Array): string | null {
  if (!(thrown instanceof CortexError) || thrown.code !== "previous_response_not_found") return null;
  const parsed = parseJson(Buffer.from(body).toString("utf8"));
  if (!isRecord(parsed)) return null;
  if (thrown.param === "previous_response_id") return textOf(parsed["previous_response_id"]);
  const index = /^input\.(\d+)$/.exec(thrown.param ?? "")?.[1];
  const { input } = parsed;
  const item: unknown = Array.isArray(input) && index !== undefined ? input[Number(index)] : undefined;
  return isRecord(item) ? textOf(item["id"]) : null;
}

const textOf = (value: unknown): string | null => (typeof value === "string" ? value : null);
