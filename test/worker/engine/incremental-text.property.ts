import fc from "fast-check";
import { expect, test } from "vitest";
import { createIncrementalText } from "../../../src/worker/engine/incremental-text.ts";

/** A vocabulary whose tokens are byte strings, as byte-level tokenizers have it. */
function decoder(vocabulary: readonly (readonly number[])[]) {
  return (tokens: readonly number[]): string =>
    new TextDecoder("utf-8", { ignoreBOM: true }).decode(
      Uint8Array.from(tokens.flatMap((token) => vocabulary[token] ?? [])),
    );
}

function stream(vocabulary: readonly (readonly number[])[], tokens: readonly number[]) {
  const text = createIncrementalText<number>({ decode: decoder(vocabulary), cache: new Map() });
  const pieces = tokens.map((token) => text.push(token));
  return [...pieces, text.end()];
}

test("characters split over tokens come out whole, and at once when they are complete", () => {
  const wanted = fc.array(fc.constantFrom("a", "ß", "€", "日", "🎉", " "), { maxLength: 12 });
  fc.assert(
    fc.property(wanted, fc.array(fc.nat(), { maxLength: 20 }), (characters, places) => {
      const bytes = [...new TextEncoder().encode(characters.join(""))];
      const cuts = [...new Set(places.map((place) => place % (bytes.length + 1)))].sort((a, b) => a - b);
      const vocabulary = [0, ...cuts]
        .map((start, index) => bytes.slice(start, cuts[index] ?? bytes.length))
        .filter((token) => token.length > 0);
      const pieces = stream(vocabulary, [...vocabulary.keys()]);
      expect(pieces.join("")).toBe(characters.join(""));
      for (const piece of pieces) expect(piece).not.toContain("\u{FFFD}");
      expect(pieces.at(-1)).toBe("");
    }),
  );
});

test("any bytes in any tokens: the pieces joined are the text of all tokens", () => {
  const byte = fc.constantFrom(0x41, 0xe2, 0x82, 0xac, 0xf0, 0x9f, 0x8e, 0x89, 0xc3, 0x9f, 0xff);
  const vocabularyOf = fc.array(fc.array(byte, { minLength: 1, maxLength: 3 }), {
    minLength: 1,
    maxLength: 40,
  });
  fc.assert(
    fc.property(vocabularyOf, (vocabulary) => {
      const tokens = [...vocabulary.keys()];
      expect(stream(vocabulary, tokens).join("")).toBe(decoder(vocabulary)(tokens));
    }),
    { numRuns: 2000 },
  );
});
