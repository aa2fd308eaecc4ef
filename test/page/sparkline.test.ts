import { expect, test } from "vitest";
import { remember, sparkPoints } from "../../src/page/sparkline.ts";
import { counted, countText, percentText } from "../../src/page/words.ts";

const area = { width: 100, height: 10, fromMs: 1000, toMs: 2000 };

test("a value holds until the next one, and what is older than the area begins at its edge", () => {
  const readings = [
    { atMs: 500, value: 2 },
    { atMs: 1500, value: 4 },
  ];
  expect(sparkPoints(readings, area)).toBe("0,5 50,5 50,0 100,0");
});

test("what ended before the area is not drawn, and nothing is nothing", () => {
  const readings = [
    { atMs: 100, value: 9 },
    { atMs: 200, value: 0 },
  ];
  expect(sparkPoints(readings, area)).toBe("0,10 100,10");
  expect(sparkPoints([], area)).toBe("");
});

test("old readings are forgotten, but for the one that still held when the time began", () => {
  const readings = [100, 400, 900].map((atMs) => ({ atMs, value: 1 }));
  expect(remember(readings, { atMs: 1000, value: 2 }, 500).map(({ atMs }) => atMs)).toEqual([400, 900, 1000]);
});

test("numbers that are glanced at are short", () => {
  expect([0, 7.25, 999, 1234, 12_345, 123_456, 1_500_000].map(countText)).toEqual([
    "0",
    "7.3",
    "999",
    "1.2k",
    "12.3k",
    "123k",
    "1.5M",
  ]);
  expect([counted(1, "copy", "copies"), counted(2, "copy", "copies"), counted(0, "model")]).toEqual([
    "1 copy",
    "2 copies",
    "0 models",
  ]);
  expect(percentText(0.404)).toBe("40 %");
});
