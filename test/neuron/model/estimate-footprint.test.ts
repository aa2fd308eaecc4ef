import { describe, expect, test } from "vitest";
import { contextPerSlot, estimateFootprintMib } from "../../../src/neuron/model/estimate-footprint.ts";
import { hasGgufMagic, readModelShape } from "../../../src/neuron/model/gguf-header.ts";
import { writeTinyGguf } from "../../support/neuron/gguf-writer.ts";
import { MIB } from "../../support/neuron/residency-builders.ts";

const shape = { layers: 32, kvHeads: 8, keyLength: 128, valueLength: 128, trainedContext: 131_072 };

describe("the estimate", () => {
  const question = { declaredMib: undefined, fileBytes: 4000 * MIB, shape, contextTokens: 8192, parallel: 4 };

  test.each([
    { name: "what is declared is taken", change: { declaredMib: 777 }, expectedMib: 777 },
    { name: "weights, cache and margin", change: {}, expectedMib: 4200 + 4096 + 256 },
    { name: "half the slots, half the cache", change: { parallel: 2 }, expectedMib: 4200 + 2048 + 256 },
    { name: "a silent header", change: { shape: null, contextTokens: null }, expectedMib: 4200 + 600 + 256 },
  ])("$name", ({ change, expectedMib }) => {
    expect(estimateFootprintMib({ ...question, ...change })).toBe(expectedMib);
  });

  test.each([
    { declared: 50_000, known: shape, expected: 50_000 },
    { declared: undefined, known: shape, expected: 8192 },
    { declared: undefined, known: { ...shape, trainedContext: 2048 }, expected: 2048 },
    { declared: undefined, known: null, expected: null },
  ])("a slot gets $expected tokens when $declared is declared", ({ declared, known, expected }) => {
    expect(contextPerSlot(declared, known)).toBe(expected);
  });
});

describe("the header of a file", () => {
  test("tells the shape, from a prefix that is long enough", () => {
    const file = writeTinyGguf();
    const whole = readModelShape(file);
    expect(whole).not.toBeNull();
    expect(Object.values(whole ?? {}).every((figure) => Number.isInteger(figure) && figure > 0)).toBe(true);
    for (const length of [0, 3, 4, 20, 100, file.length - 1]) {
      expect([null, JSON.stringify(whole)]).toContain(
        readModelShape(file.subarray(0, length)) === null ? null : JSON.stringify(whole),
      );
    }
  });

  test.each([
    { name: "nothing", bytes: new Uint8Array() },
    { name: "text", bytes: new TextEncoder().encode("GGU") },
    { name: "only magic", bytes: new TextEncoder().encode("GGUF") },
    { name: "magic and noise", bytes: new TextEncoder().encode(`GGUF${"\u00ff".repeat(500)}`) },
  ])("of $name tells nothing", ({ bytes }) => {
    expect(readModelShape(bytes)).toBeNull();
  });

  test("begins with its magic", () => {
    expect(hasGgufMagic(writeTinyGguf())).toBe(true);
    expect(hasGgufMagic(new TextEncoder().encode("GGML"))).toBe(false);
  });
});
