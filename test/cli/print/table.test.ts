import { expect, test } from "vitest";
import { tableText } from "../../../src/cli/print/table.ts";

test("figures stand to the right, and what only begins with a digit to the left", () => {
  const head = ["WHEN", "EPOCH", "REVISION", "RESULT", "TOOK", "SIZE"];
  const rows = [
    ["2026-11-27T10:00:00Z", "9", "0a1b2c3d", "1 applied", "9.5 s (predicted 10 s)", "900 MiB"],
    ["2026-11-27T10:00:01Z", "12", "1a1b2c3d+dirty", "12 applied, 1 failed", "1m 10s", "1.5 GiB"],
  ];
  expect(tableText(head, rows)).toBe(
    [
      "WHEN                  EPOCH  REVISION        RESULT                TOOK                       SIZE",
      "2026-11-27T10:00:00Z      9  0a1b2c3d        1 applied             9.5 s (predicted 10 s)  900 MiB",
      "2026-11-27T10:00:01Z     12  1a1b2c3d+dirty  12 applied, 1 failed  1m 10s                  1.5 GiB",
    ].join("\n"),
  );
});

test("an empty column stays where it is, and a missing figure among figures is one", () => {
  expect(
    tableText(
      ["A", "N"],
      [
        ["", "1"],
        ["", "-"],
      ],
    ),
  ).toBe(["A  N", "   1", "   -"].join("\n"));
});
