import { expect, test } from "vitest";
import { errorToJson, printError } from "../../../src/cli/print/print-error.ts";
import { CortexError } from "../../../src/core/errors.ts";
import { parseFleet } from "../../../src/fleet/load-fleet.ts";

const error = new CortexError("source_not_found", "no file named qwen in the model store", {
  details: { searched: ["/models", "/opt/models"], nearest: "qwen3", nested: { hidden: true } },
});

test("an error says what happened, the facts, the next step, and where there is more", () => {
  expect(printError(error, { colour: false })).toBe(
    [
      "Error [source_not_found] no file named qwen in the model store",
      "  searched:",
      "    /models",
      "    /opt/models",
      "  nearest: qwen3",
      `Next: ${error.next}`,
      "More: cortex explain source_not_found",
    ].join("\n"),
  );
});

test("of broken fleet files the codes of the findings are named, each once, in one line at the end", () => {
  const parsed = parseFleet([{ path: "fleet.toml", text: '[fleet]\nname = "home"\nnmae = 1\nnaem = 2\n' }]);
  const diagnostics = parsed.ok ? [] : parsed.error;
  const text = printError(new CortexError("fleet_invalid", "broken", { details: { diagnostics } }), {
    colour: false,
  });
  expect(text.split("\n").at(-1)).toBe("More: cortex explain CTX113 CTX114 CTX102");
  expect(text.match(/More: /g)).toHaveLength(1);
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
