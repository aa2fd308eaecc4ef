import { expect, test } from "vitest";
import { afterCount } from "../../../src/gateway/count-course.ts";
import type { RelayResult } from "../../../src/gateway/relay/relay-answer.ts";

const refused = (status: number, code: string): RelayResult => ({
  kind: "answered-error",
  answer: {
    status,
    headers: {},
    envelope: { error: { type: "api_error", code, message: "", param: null, next: "" } },
  },
});

test.each<[string, RelayResult, string]>([
  ["an answer is the end", { kind: "completed" }, "completed"],
  ["one that broke off is not asked for again", { kind: "cut", code: "upstream_error" }, "cut"],
  ["a client that left is told nothing", { kind: "aborted" }, "stopped"],
  ["a neuron that does not answer", { kind: "failed-before-answer", code: "ECONNREFUSED" }, "ask-another"],
  ["a neuron of an older version", refused(404, "model_not_found"), "ask-another"],
  ["a neuron without the file", refused(404, "source_not_found"), "ask-another"],
  ["a neuron whose process died", refused(502, "worker_crashed"), "ask-another"],
  [
    "what is wrong with the request is wrong everywhere",
    refused(422, "invalid_request_body"),
    "pass-on-error",
  ],
  [
    "a request that ended a process is not tried on the next",
    refused(422, "request_ended_worker"),
    "pass-on-error",
  ],
])("%s", (_, result, expected) => {
  const next = afterCount(result);
  expect(typeof next === "string" ? next : next.kind).toBe(expected);
});
