import { createHash } from "node:crypto";
import { canonicalDigest } from "../../core/canonical-digest.ts";
import { isRecord, parseJson } from "../../core/json.ts";
import { FIELDS_WITHOUT_EFFECT } from "./request.ts";

/** What may differ when the same request is sent again, through another alias or another way of reading the answer. */
const VOLATILE_FIELDS: ReadonlySet<string> = new Set([
  ...FIELDS_WITHOUT_EFFECT,
  "model",
  "stream",
  "stream_options",
]);

const FINGERPRINT_DIGITS = 24;

/** Tells a request from others without saying what it asks; the same at gateway and neuron. */
export function requestFingerprint(path: string, body: Uint8Array): string {
  return digestOf(path.split("?")[0] ?? "", body).slice(0, FINGERPRINT_DIGITS);
}

function digestOf(path: string, body: Uint8Array): string {
  try {
    const parsed = parseJson(Buffer.from(body).toString("utf8"));
    if (isRecord(parsed)) {
      const kept = Object.entries(parsed).filter(([field]) => !VOLATILE_FIELDS.has(field));
      return canonicalDigest([path, Object.fromEntries(kept)]);
    }
  } catch {
    // Nested beyond what can be walked: its bytes have to do.
  }
  return createHash("sha256").update(path).update("\n").update(body).digest("hex");
}
