import { setImmediate } from "node:timers/promises";
import { BodyScan, SLICE_BYTES, type TopLevelFields } from "../../../protocol/openai/body-scan.ts";

/**
 * The top level of a body: at once of a short one; of a large one everybody else has a turn between two slices. Throws
 * `malformed_json`.
 */
export function scanBody(body: Buffer): TopLevelFields | Promise<TopLevelFields> {
  const scan = new BodyScan(body);
  return scan.advance(SLICE_BYTES) ? scan.fields : scanOn(scan);
}

async function scanOn(scan: BodyScan): Promise<TopLevelFields> {
  do await setImmediate();
  while (!scan.advance(SLICE_BYTES));
  return scan.fields;
}
