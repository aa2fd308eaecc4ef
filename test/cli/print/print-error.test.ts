import { expect, test } from "vitest";
import { errorToJson, printError } from "../../../src/cli/print/print-error.ts";
import { CortexError } from "../../../src/core/errors.ts";

const error = new CortexError("source_not_found", "no file named qwen in the model store", {
  details: { searched: ["/models", "/opt/models"], nearest: "qwen3", nested: { hidden: true } },
});

test("an error says what happened, the facts, and the next step", () => {
  expect(printError(error, { colour: false })).toBe(
    [
      "Error [source_not_found] no file named qwen in the model store",
      "  searched:",
      "    /models",
      "    /opt/models",
      "  nearest: qwen3",
      `Next: ${error.next}`,
    ].join("\n"),
  );
});

test("colour is an option, not a guess", () => {
  expect(printError(error, { colour: true })).toContain("\u001B[31mError");
  expect(printError(error, { colour: false })).not.toContain("\u001B");
});

test("as JSON every detail stays", () => {
  expect(errorToJson(error)).toMatchObject({
    error: { code: "source_not_found", details: { nested: { hidden: true } } },
  });
});
