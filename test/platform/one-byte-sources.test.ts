import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { inOneByte } from "../../scripts/program/one-byte-sources.ts";

test.each([
  ["a text", '"→ 日本"'],
  ["a sign of two halves", '"😀".length + "😀"'],
  ["a template", "`${1}…`"],
  ["a backslash before the letter, itself escaped", String.raw`"\\…"`],
  ["a regular expression", '"a😀b".replace(/[😀-😂]/u, "x")'],
  ["a letter of Latin-1", '"é"'],
])("%s says the same in one byte a letter", (_what, code) => {
  const rewritten = inOneByte(code);
  expect(rewritten).not.toMatch(/[^\0-\x7f]/);
  expect(runInNewContext(rewritten)).toBe(runInNewContext(code));
});

test.each([
  ["an escaped letter", String.raw`"\…"`],
  ["a raw text", "String.raw`…`"],
])("%s is refused: its number would be read otherwise", (_what, code) => {
  expect(() => inOneByte(code)).toThrow("has to stay as it is");
});
