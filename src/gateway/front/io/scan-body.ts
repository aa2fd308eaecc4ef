import { setImmediate } from "node:timers/promises";
import { BodyScan, SLICE_BYTES, type TopLevelFields } from "../../../protocol/openai/body-scan.ts";

/** The top level of a body. Everybody else has a turn between two slices of a large one. Throws `malformed_json`. */
export async function scanBody(body: Buffer): Promise<TopLevelFields> {
  const scan = new BodyScan(body);
  while (!scan.advance(SLICE_BYTES)) await setImmediate();
  return scan.fields;
}
