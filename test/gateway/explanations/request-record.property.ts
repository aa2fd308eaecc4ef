import fc from "fast-check";
import { expect, test } from "vitest";
import { RequestMemory } from "../../../src/gateway/request-record.ts";
import { newTrace } from "../../../src/gateway/io/exchange.ts";

const record = (requestId: string, startedAtMs: number) =>
  newTrace({
    requestId,
    route: "/v1/chat/completions",
    key: "anonymous",
    stream: false,
    startedAtMs,
    startedAtEpochMs: 0,
  });

test("the memory has the last requests, each under its id, and never more, however ids come again", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 8 }),
      fc.array(fc.constantFrom("a", "b", "c", "d", "e", "f"), { maxLength: 60 }),
      (kept, ids) => {
        const memory = new RequestMemory(kept);
        const added = ids.map(record);
        for (const one of added) memory.add(one);
        const last = added.slice(-kept).toReversed();
        expect(memory.latest(100)).toEqual(last);
        expect(memory.latest(2)).toEqual(last.slice(0, 2));
        for (const id of ["a", "b", "c", "d", "e", "f"]) {
          expect(memory.find(id)).toBe(last.find(({ requestId }) => requestId === id));
        }
      },
    ),
  );
});
