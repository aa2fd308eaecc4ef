import { describe, expect, test } from "vitest";
import { cutText, fitTable, type TableColumn } from "../../../src/cli/print/fit-table.ts";

const columns: readonly TableColumn[] = [
  { name: "MODEL", least: 8 },
  { name: "STATE" },
  { name: "TOK/S", right: true, drop: 1 },
  { name: "WHY", least: 6, drop: 2 },
];

const rows = [
  ["org/a-long-model-name", "serving", "42.5", "declared, by a1b2c3d"],
  ["org/b", "cold", "-", "on demand"],
].map((row) => row.map((text) => ({ text })));

const drawn = (width: number | undefined, unicode = true): string =>
  `\n${fitTable(columns, rows, { colour: false, columns: width, unicode })}`;

describe("a table that fits the terminal", () => {
  test("without a terminal nothing is cut or left out", () => {
    expect(drawn(undefined)).toMatchInlineSnapshot(`
      "
      MODEL                  STATE    TOK/S  WHY
      org/a-long-model-name  serving   42.5  declared, by a1b2c3d
      org/b                  cold         -  on demand"
    `);
  });

  test("long cells are cut first", () => {
    expect(drawn(50)).toMatchInlineSnapshot(`
      "
      MODEL             STATE    TOK/S  WHY
      org/a-long-mode…  serving   42.5  declared, by a1…
      org/b             cold         -  on demand"
    `);
  });

  test("then columns are left out, the least important first", () => {
    expect(drawn(30)).toMatchInlineSnapshot(`
      "
      MODEL           STATE    TOK/S
      org/a-long-mo…  serving   42.5
      org/b           cold         -"
    `);
    expect(drawn(20, false)).toMatchInlineSnapshot(`
      "
      MODEL        STATE
      org/a-long~  serving
      org/b        cold"
    `);
  });

  test.each([20, 24, 30, 40, 50, 60, 80])("no line is wider than %i", (width) => {
    expect(
      Math.max(
        ...drawn(width)
          .split("\n")
          .map((line) => line.length),
      ),
    ).toBeLessThanOrEqual(width);
  });

  test("colours have no width", () => {
    const painted = rows.map((row) => row.map((cell) => ({ ...cell, style: "green" as const })));
    const text = fitTable(columns, painted, { colour: true, columns: 50 });
    // oxlint-disable-next-line no-control-regex -- styles of a terminal are made of control characters
    expect(`\n${text.replaceAll(/\u001B\[\d+m/g, "")}`).toBe(drawn(50));
  });
});

test.each([
  { text: "abc", width: 3, unicode: true, expected: "abc" },
  { text: "abcd", width: 3, unicode: true, expected: "ab…" },
  { text: "abcd", width: 3, unicode: false, expected: "ab~" },
  { text: "äöüß", width: 3, unicode: true, expected: "äö…" },
  { text: "abc", width: 0, unicode: true, expected: "" },
])("$text in $width columns", ({ text, width, unicode, expected }) => {
  expect(cutText(text, width, unicode)).toBe(expected);
});
