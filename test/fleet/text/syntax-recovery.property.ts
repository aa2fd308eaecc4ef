import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { parseFleet } from "../../../src/fleet/load-fleet.ts";

/**
 * Mending one slip must not be rewarded with the next: each broken block of a file is reported at once, and nothing is
 * said about the sound ones.
 */
const ORIGINAL = readFileSync(join(import.meta.dirname, "../../../fleet.example.toml"), "utf8");
const LINES = ORIGINAL.split("\n");
const HEADERS = LINES.flatMap((line, index) => (line.startsWith("[") ? [index] : []));

/** Lines that no parser of TOML accepts, whatever stands around them. */
const SLIPS = [
  "key = ",
  "key: 1",
  'key = "open',
  "key = 24GB",
  "key 1",
  "key = True",
  "= 1",
  "key = [1",
  "[open",
];

test("slips in several blocks are all found in their blocks, and no other block is called broken", () => {
  expect(parseFleet([{ path: "fleet.toml", text: ORIGINAL }]).ok).toBe(true);
  expect(HEADERS.length).toBeGreaterThan(5);
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.nat(HEADERS.length - 1), { minLength: 1, maxLength: 4 }),
      fc.array(fc.constantFrom(...SLIPS), { minLength: 4, maxLength: 4 }),
      (blocks, slips) => {
        const lines = [...LINES];
        for (const [order, block] of blocks.entries()) {
          const header = HEADERS[block] ?? 0;
          lines[header] = `${lines[header] ?? ""}\n${slips[order] ?? ""}`;
        }
        const result = parseFleet([{ path: "fleet.toml", text: lines.join("\n") }]);
        const found = result.ok ? [] : result.error.filter(({ code }) => code === "CTX101");
        expect(found).toHaveLength(blocks.length);
      },
    ),
    { numRuns: 300 },
  );
});
