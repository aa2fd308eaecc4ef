import fc from "fast-check";
import { expect, test } from "vitest";
import { requestExplanation, RequestMemory } from "../../../src/gateway/request-record.ts";
import { beginAttempt, endAttempt, addStep, routedStep } from "../../../src/gateway/request-steps.ts";
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

const USAGE = { promptTokens: 12, completionTokens: 40, cachedTokens: 3, reasoningTokens: 0 };

/** One that went its way without a detour, and ended. */
function usual({ id, figure, failed }: { id: string; figure: number | undefined; failed: boolean }) {
  const trace = record(id, 1000);
  const considered = [{ neuron: "n1", verdict: "serves", ...(figure === undefined ? {} : { figure }) }];
  addStep(trace, routedStep({ kind: "serve", modelId: "org/a", neuron: "n1", considered }, 1000.5));
  const sent = beginAttempt("n1", 1001);
  endAttempt(sent, failed ? { kind: "cut", code: "upstream_cut_stream" } : { kind: "completed" }, 1042.25);
  addStep(trace, sent);
  const firstContentMs = figure === undefined ? undefined : 20.5;
  const errorCode = failed ? "upstream_cut_stream" : undefined;
  const end = { modelId: "org/a", neuron: "n1", usage: USAGE, durationMs: 43.5, status: failed ? 502 : 200 };
  return Object.assign(trace, { ...end, firstContentMs, errorCode });
}

test("what has ended is explained as if it were kept as it was, and what comes after it changes nothing", () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ figure: fc.option(fc.nat(9), { nil: undefined }), failed: fc.boolean() }), {
        minLength: 1,
        maxLength: 12,
      }),
      fc.integer({ min: 1, max: 8 }),
      (kinds, kept) => {
        const memory = new RequestMemory(kept);
        const records = kinds.map((kind, at) => usual({ id: String(at), ...kind }));
        for (const one of records) memory.ended(memory.add(one), one);
        const last = records.slice(-kept).toReversed();
        expect(memory.latest(kept).map(requestExplanation)).toStrictEqual(last.map(requestExplanation));
      },
    ),
  );
});

test("one that was forgotten before it ended takes nobody's place", () => {
  const memory = new RequestMemory(1);
  const [early, late] = [usual({ id: "early", figure: 1, failed: false }), record("late", 2000)];
  const at = memory.add(early);
  memory.add(late);
  memory.ended(at, early);
  expect(memory.latest(1)).toEqual([late]);
});
