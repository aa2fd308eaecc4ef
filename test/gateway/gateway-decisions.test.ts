import { describe, expect, test } from "vitest";
import {
  clientResponseHeaders,
  isUsableRequestId,
  upstreamRequestHeaders,
} from "../../src/gateway/relay/header-policy.ts";
import { BodyScan } from "../../src/protocol/openai/body-scan.ts";
import { readRequestFacts } from "../../src/gateway/front/request-facts.ts";
import { FULL_RETRY_BUDGET, retryVerdict } from "../../src/gateway/retry-policy.ts";

describe("retry policy", () => {
  test.each([
    { kind: "connection", code: "ECONNREFUSED", expected: "connection_failed" },
    { kind: "connection", code: "UND_ERR_SOCKET", expected: "connection_failed" },
    { kind: "connection", code: "UND_ERR_CONNECT_TIMEOUT", expected: "connection_failed" },
    { kind: "connection", code: "UND_ERR_HEADERS_TIMEOUT", expected: "give-up" },
    { kind: "connection", code: "HPE_INVALID_CONSTANT", expected: "give-up" },
    { kind: "answered", code: "worker_crashed", expected: "worker_crashed" },
    { kind: "answered", code: "model_not_found", expected: "stale_view" },
    { kind: "answered", code: "queue_full", expected: "replica_refused" },
    { kind: "answered", code: "draining", expected: "stale_view" },
    { kind: "answered", code: "context_length_exceeded", expected: "give-up" },
    { kind: "answered", code: null, expected: "foreign_answer" },
    { kind: "answered", code: "", expected: "give-up" },
  ] as const)("$kind $code: $expected", ({ kind, code, expected }) => {
    const failure = kind === "connection" ? { kind, code } : { kind, code, status: 500 };
    const verdict = retryVerdict(failure, FULL_RETRY_BUDGET);
    expect(verdict.kind === "retry" ? verdict.reason : verdict.kind).toBe(expected);
  });

  test.each([
    { kind: "answered", code: "worker_crashed", status: 502 },
    { kind: "connection", code: "NEURON_SILENT" },
  ] as const)("after $code once, and after a refused connection then", (failure) => {
    const spent = { ...FULL_RETRY_BUDGET, dear: 0 };
    expect(retryVerdict(failure, FULL_RETRY_BUDGET).kind).toBe("retry");
    expect(retryVerdict(failure, spent)).toEqual({ kind: "give-up" });
    expect(retryVerdict({ kind: "connection", code: "ECONNREFUSED" }, spent).kind).toBe("retry");
  });

  test("each budget is spent once, and only a refusal asks for another replica", () => {
    const refused = retryVerdict({ kind: "answered", status: 503, code: "queue_full" }, FULL_RETRY_BUDGET);
    expect(refused).toMatchObject({ onlyElsewhere: true, budget: { replica: 5, dear: 1, staleView: 3 } });
    const crash = { kind: "answered", status: 502, code: "worker_crashed" } as const;
    expect(retryVerdict(crash, FULL_RETRY_BUDGET)).toMatchObject({
      onlyElsewhere: false,
      budget: { replica: 5, dear: 0, staleView: 3 },
    });
    expect(retryVerdict(crash, { replica: 0, dear: 1, staleView: 1 })).toEqual({ kind: "give-up" });
    const stale = { kind: "answered", status: 404, code: "model_not_found" } as const;
    expect(retryVerdict(stale, { replica: 0, dear: 0, staleView: 1 })).toMatchObject({
      onlyElsewhere: false,
      budget: { staleView: 0 },
    });
    expect(retryVerdict(stale, { replica: 1, dear: 1, staleView: 0 })).toEqual({ kind: "give-up" });
  });
});

describe("headers", () => {
  test("only listed ones go to a neuron", () => {
    const sent = upstreamRequestHeaders(
      {
        host: "h",
        authorization: "a",
        "api-key": "b",
        "content-length": "9",
        "content-type": "application/json",
        "accept-encoding": "gzip",
        te: "x",
        traceparent: "t",
      },
      { "x-request-id": "r" },
    );
    expect(sent).toEqual({ "content-type": "application/json", traceparent: "t", "x-request-id": "r" });
  });

  test("hop-by-hop ones and those that the connection names stay with the neuron", () => {
    const passed = clientResponseHeaders(
      {
        connection: "keep-alive, X-Hop",
        "keep-alive": "timeout=5",
        "x-hop": "1",
        "transfer-encoding": "chunked",
        "set-cookie": ["s"],
        "retry-after": "3",
        "content-type": "text/plain",
      },
      { "x-cortex-neuron": "a" },
    );
    expect(passed).toEqual({ "retry-after": "3", "content-type": "text/plain", "x-cortex-neuron": "a" });
  });

  test.each([
    ["req-7", true],
    ["0af7651916cd43dd8448eb211c80319c", true],
    ["", false],
    ["a b", false],
    ["a\nb", false],
    ["x".repeat(129), false],
    [["a"], false],
    [undefined, false],
  ])("request id %j: %s", (value, expected) => {
    expect(isUsableRequestId(value)).toBe(expected);
  });
});

describe("request facts", () => {
  test.each([
    [{ model: "m" }, { model: "m", stream: false }],
    [
      { model: "m", stream: true },
      { model: "m", stream: true },
    ],
    [
      { model: "m", stream: null },
      { model: "m", stream: false },
    ],
    [
      { model: "m", stream: "true" },
      { model: "m", stream: false },
    ],
  ])("%j", (body, expected) => {
    expect(factsOf(body)).toMatchObject(expected);
  });

  test.each([
    [null, "invalid_request_body"],
    [[], "invalid_request_body"],
    ["text", "invalid_request_body"],
    [{}, "missing_model_field"],
    [{ model: null }, "missing_model_field"],
    [{ model: "" }, "missing_model_field"],
    [{ model: {} }, "invalid_request_body"],
  ])("%j is refused as %s", (body, code) => {
    expect(() => factsOf(body)).toThrow(expect.objectContaining({ code }));
  });
});

function factsOf(value: unknown) {
  const body = Buffer.from(JSON.stringify(value));
  const scan = new BodyScan(body);
  scan.advance(body.length);
  return readRequestFacts(body, scan.fields);
}
