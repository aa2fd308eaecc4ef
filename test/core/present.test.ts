import { expect, test } from "vitest";
import { present } from "../../src/core/present.ts";

test.each([0, "", false, Number.NaN])("%j is there", (value) => {
  expect(present(value, "the value")).toBe(value);
});

const defect = (message: string): object =>
  expect.objectContaining({ name: "CortexError", code: "internal_error", message }) as object;

test.each([undefined, null])("%j is a defect that says what is missing", (value) => {
  expect(() => present(value, "the last round")).toThrow(defect("the last round is missing"));
  expect(() => present(value, "neuron", 3)).toThrow(defect("neuron 3 is missing"));
  expect(() => present(value, "model", "a/b")).toThrow(defect('model "a/b" is missing'));
});
