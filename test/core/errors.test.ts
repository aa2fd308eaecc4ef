import { expect, test } from "vitest";
import {
  CortexError,
  ERROR_TABLE,
  errorKind,
  EXIT,
  type ErrorCode,
  toCortexError,
} from "../../src/core/errors.ts";

const codes = Object.keys(ERROR_TABLE) as ErrorCode[];

test.each(codes)("%s: retry advice only where retrying can help, and a next step always", (code) => {
  const kind = errorKind(code);
  expect(kind.retryable).toBe(kind.retryAfterSecs !== undefined);
  expect(kind.next.length).toBeGreaterThan(5);
  expect(kind.httpStatus).not.toBe(402);
});

test("no failure uses the exit codes for success or pending changes", () => {
  const exits = codes.map((code) => errorKind(code).exitCode);
  expect(exits).not.toContain(EXIT.done);
  expect(exits).not.toContain(EXIT.changesPending);
});

test("what is no CortexError is a defect and keeps its cause", () => {
  const thrown = new TypeError("boom");
  const error = toCortexError(thrown);
  expect(error).toMatchObject({ code: "internal_error", message: "boom", cause: thrown });
  const known = new CortexError("model_not_found", "no such model");
  expect(toCortexError(known)).toBe(known);
});
