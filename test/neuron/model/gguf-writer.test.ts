import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { writeTinyGguf } from "../../support/neuron/gguf-writer.ts";

const digest = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

describe("the tiny model file", () => {
  test("equal options give equal bytes, other options other bytes", () => {
    expect(digest(writeTinyGguf({ seed: 7, layers: 1 }))).toBe(digest(writeTinyGguf({ layers: 1, seed: 7 })));
    const variants = [
      {},
      { seed: 2 },
      { weights: "f16" },
      { endOfText: 3 },
      { output: "bytes" },
      { contextLength: 256 },
      { chatTemplate: null },
      { metadata: { "general.sampling.temp": 0.5 } },
    ] as const;
    expect(new Set(variants.map((options) => digest(writeTinyGguf(options)))).size).toBe(variants.length);
  });

  test("the default file never changes: tests elsewhere rely on what it writes", () => {
    const first = digest(writeTinyGguf());
    expect(digest(writeTinyGguf())).toBe(first);
    expect(writeTinyGguf().length).toBeLessThan(1_000_000);
  });
});
