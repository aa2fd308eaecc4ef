import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { errorToJson, printError } from "../../src/cli/print/print-error.ts";
import { printDiagnostics } from "../../src/cli/print/print-diagnostics.ts";
import { CortexError, ERROR_TABLE, type ErrorCode } from "../../src/core/errors.ts";
import { diagnostic } from "../../src/fleet/text/diagnostics.ts";
import { dialectErrorResponse } from "../../src/gateway/dialect/dialect-routes.ts";
import { entryText } from "../../src/manual/entry-text.ts";
import {
  ERROR_SECTIONS,
  errorEntry,
  FINDING_LIST,
  findEntry,
  findingEntry,
  nearestCode,
} from "../../src/manual/manual.ts";

const ERROR_CODES = Object.keys(ERROR_TABLE) as ErrorCode[];
const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");

/** The places of a page that a link can name, as git hosts make them of headings. */
const anchorsOf = (path: string): readonly string[] =>
  [...read(path).matchAll(/^### (\w+)$/gm)].map(([, heading = ""]) => heading.toLowerCase());

test("each error stands in one section, and a section holds nothing else", () => {
  expect(ERROR_SECTIONS.flatMap(({ codes }) => codes).toSorted()).toEqual(ERROR_CODES.toSorted());
});

test("each code has its place in the documentation, and each place there has a code", () => {
  const docs = [
    ...ERROR_CODES.map((code) => errorEntry(code).doc),
    ...FINDING_LIST.map((code) => findingEntry(code).doc),
  ];
  const places = ["docs/errors.md", "docs/diagnostics.md"].flatMap((path) =>
    anchorsOf(path).map((anchor) => `${path}#${anchor}`),
  );
  expect(docs.toSorted()).toEqual(places.toSorted());
});

test.each([
  ...ERROR_CODES.map((code) => errorEntry(code)),
  ...FINDING_LIST.map((code) => findingEntry(code)),
])("$code: whole sentences, and no step twice", (entry) => {
  expect(entry.why).toMatch(/^[A-Z`].*[.?]$/s);
  expect(entry.steps.filter((step) => !/^\S.*[.)`]$/s.test(step))).toEqual([]);
  expect(new Set(entry.steps).size).toBe(entry.steps.length);
});

const failure = (code: ErrorCode): CortexError => new CortexError(code, "it did not work");

test.each(ERROR_CODES)("what people and programs are shown of %s names its place", (code) => {
  const more = `More: cortex explain ${code}`;
  expect(printError(failure(code), { colour: false }).split("\n").at(-1)).toBe(more);
  const doc = errorEntry(code).doc;
  expect(errorToJson(failure(code))).toMatchObject({ error: { doc } });
  expect(dialectErrorResponse(failure(code)).body).toMatchObject({ error: { doc } });
  expect(dialectErrorResponse(failure(code), "/v1/responses").body).toMatchObject({ error: { doc } });
  expect(dialectErrorResponse(failure(code), "/v1/messages").body).toMatchObject({ error: { doc } });
  expect(dialectErrorResponse(failure(code), "/api/chat").body).toMatchObject({ doc });
});

test.each(FINDING_LIST)("what people are shown of %s names its place", (code) => {
  const finding = diagnostic({ code, at: { file: "fleet.toml", line: 1, column: 1 }, message: "odd" });
  expect(printDiagnostics([finding], { colour: false })).toMatch(
    new RegExp(`\nMore: cortex explain ${code}$`),
  );
});

test("a code is found however it is written, and one that is nearly one is guessed", () => {
  expect(findEntry("ctx126")?.code).toBe("CTX126");
  expect(findEntry("Model_Not_Found")?.code).toBe("model_not_found");
  expect(findEntry("0f9c8a52-4c1e-4f0e-9a54-6a4c3f0b7d11")).toBeUndefined();
  expect(nearestCode("model_not_fund")).toBe("model_not_found");
  expect(nearestCode("0f9c8a52-4c1e-4f0e-9a54-6a4c3f0b7d11")).toBeUndefined();
});

test("an entry as text: facts, why, what to do, where it stands", () => {
  expect(entryText(findingEntry("CTX122"))).toMatchInlineSnapshot(`
    "CTX122: warning in the fleet files

    Pattern that matches nothing. A pattern in a key's \`models\` matches no model and no alias, so it allows nothing. Often a spelling, or a model that was taken out.

    What to do:
    - Name an id or an alias of this fleet; * stands for any characters.

    In the documentation: docs/diagnostics.md#ctx122"
  `);
  expect(entryText(errorEntry("lock_held"))).toMatchInlineSnapshot(`
    "lock_held: HTTP 409, exit code 69; trying again does not help by itself

    Somebody else is applying to this fleet; the message says who, where and since when. Two applies at once would work against each other.

    What to do:
    - Wait until it is released, as with --lock-timeout 10m; cortex lock ls shows who holds it.
    - A holder that was killed is noticed by the next apply by itself, after half the lock's time to live. By hand: cortex lock release ID.

    In the documentation: docs/errors.md#lock_held"
  `);
});
