import { describe, expect, test } from "vitest";
import {
  formatTraceparent,
  isSampledBy,
  parseTraceparent,
} from "../../../src/protocol/headers/trace-context.ts";

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const SPAN = "b7ad6b7169203331";

describe("traceparent", () => {
  test("is read and written as the specification has it", () => {
    const context = { traceId: TRACE, spanId: SPAN, sampled: true };
    expect(parseTraceparent(formatTraceparent(context))).toEqual(context);
    expect(parseTraceparent(`00-${TRACE}-${SPAN}-00`)).toMatchObject({ sampled: false });
    // A later version may say more, and other flags mean nothing here.
    expect(parseTraceparent(`cc-${TRACE}-${SPAN}-03-more`)).toMatchObject({ sampled: true });
  });

  test.each([
    undefined,
    "",
    "t",
    `00-${TRACE}-${SPAN}`,
    `ff-${TRACE}-${SPAN}-01`,
    `00-${"0".repeat(32)}-${SPAN}-01`,
    `00-${TRACE}-${"0".repeat(16)}-01`,
    `00-${TRACE.toUpperCase()}-${SPAN}-01`,
    `00-${TRACE}-${SPAN}-01-more`,
  ])("%s is none", (value) => {
    expect(parseTraceparent(value)).toBeUndefined();
  });

  test("a part of all traces is drawn, by their ids", () => {
    const ids = Array.from({ length: 1000 }, (_, index) =>
      (index * 4_294_967).toString(16).padStart(32, "0"),
    );
    const drawn = (ratio: number) => ids.filter((id) => isSampledBy(id, ratio)).length;
    expect([drawn(0), drawn(1)]).toEqual([0, 1000]);
    expect(drawn(0.25)).toBeGreaterThan(200);
    expect(drawn(0.25)).toBeLessThan(300);
  });
});
