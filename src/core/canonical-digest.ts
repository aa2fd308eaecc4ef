import { createHash } from "node:crypto";
import { canonicalJson } from "./json.ts";

/** SHA-256 (hex) of a value's meaning. */
export const canonicalDigest = (value: unknown): string =>
  createHash("sha256").update(canonicalJson(value)).digest("hex");
