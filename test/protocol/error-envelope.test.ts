import { expect, test } from "vitest";
import { CortexError } from "../../src/core/errors.ts";
import { neuronRefusal } from "../../src/protocol/neuron-failure.ts";
import { fromErrorResponse, toErrorResponse } from "../../src/protocol/error-envelope.ts";

test("an error survives the wire with its facts and next step", () => {
  const sent = new CortexError("insufficient_vram", "cuda:0 has 2 GiB free, 8 GiB are needed", {
    details: { device: 0, required_mb: 8192 },
    next: "unload Qwen/Qwen3-8B",
  });
  const { status, headers, body } = toErrorResponse(sent);
  expect(status).toBe(503);
  expect(headers).toEqual({ "retry-after": "5" });
  const received = fromErrorResponse(status, JSON.parse(JSON.stringify(body)), "upstream_connection_error");
  expect(received).toMatchObject({
    code: "insufficient_vram",
    message: sent.message,
    next: "unload Qwen/Qwen3-8B",
  });
  expect(received.details).toMatchObject({ device: 0, required_mb: 8192 });
});

test("Retry-After is a whole number of seconds, at least one, and absent where retrying cannot help", () => {
  expect(
    toErrorResponse(new CortexError("model_loading", "", { retryAfterSecs: 0.2 })).headers["retry-after"],
  ).toBe("1");
  expect(toErrorResponse(new CortexError("model_not_found", "")).headers).toEqual({});
  // A load that failed is not worth another try by itself; but its owner knows when the next one is due.
  expect(toErrorResponse(new CortexError("load_failed", "", { retryAfterSecs: 9 })).headers).toEqual({
    "retry-after": "9",
  });
});

test("what is final has no Retry-After, and tells the SDKs not to try again, over the wire too", () => {
  const sent = new CortexError("insufficient_vram", "never fits here", { retryAfterSecs: null });
  const { status, headers, body } = toErrorResponse(sent);
  expect(headers).toEqual({ "x-should-retry": "false" });
  const neuron = { name: "n", endpoint: "http://n" };
  const received = neuronRefusal(neuron, { status, headers, body: JSON.parse(JSON.stringify(body)) }, 0);
  expect([received.isFinal, received.retryAfterSecs]).toEqual([true, undefined]);
});

test.each([
  ["html from a proxy", "<html>bad gateway</html>"],
  ["an error string", { error: "no" }],
  ["nothing", undefined],
])("%s becomes the fallback with the status", (_name, body) => {
  const error = fromErrorResponse(502, body, "upstream_connection_error");
  expect(error.code).toBe("upstream_connection_error");
  expect(error.message).toContain("502");
});

test("a code this version does not know becomes the fallback but keeps the words", () => {
  const error = fromErrorResponse(
    418,
    { error: { message: "teapot", type: "x", code: "brand_new" } },
    "load_failed",
  );
  expect(error).toMatchObject({ code: "load_failed", message: "teapot" });
});
