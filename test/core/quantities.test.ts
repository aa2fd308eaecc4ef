import { expect, test } from "vitest";
import {
  bytesToMib,
  formatBytes,
  formatDuration,
  formatMib,
  parseDuration,
} from "../../src/core/quantities.ts";

test.each([
  [0, "0 B"],
  [1023, "1023 B"],
  [1024, "1.0 KiB"],
  [32_768 * 1024 * 1024, "32.0 GiB"],
  [150 * 1024 * 1024, "150 MiB"],
])("%i bytes read as %s", (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text);
});

test("a footprint is rounded up to whole MiB and printed in the unit a person would use", () => {
  expect(bytesToMib(1)).toBe(1);
  expect(bytesToMib(1024 * 1024 + 1)).toBe(2);
  expect(formatMib(24_000)).toBe("23.4 GiB");
});

test.each([
  [12, "12 ms"],
  [1500, "1.5 s"],
  [250_000, "4 m 10 s"],
  [7_500_000, "2 h 05 m"],
])("%i ms read as %s", (durationMs, text) => {
  expect(formatDuration(durationMs)).toBe(text);
});

test.each<[string, number | undefined]>([
  ["90s", 90_000],
  [" 15m ", 900_000],
  ["1.5 h", 5_400_000],
  ["0s", undefined],
  ["90", undefined],
  ["-1m", undefined],
  ["5 days", undefined],
  ["", undefined],
])("the duration %j", (text, durationMs) => {
  expect(parseDuration(text)).toBe(durationMs);
});
