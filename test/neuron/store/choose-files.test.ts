import { describe, expect, test } from "vitest";
import { chooseFiles } from "../../../src/neuron/store/choose-files.ts";

const repository = "org/repo";
const listed = (...paths: readonly string[]) => paths.map((path) => ({ path, sizeBytes: 1, sha256: null }));
const chosen = (paths: readonly string[], file?: string): unknown => {
  const result = chooseFiles(listed(...paths), { repository, file });
  return result.ok ? result.value.map(({ path }) => path) : result.error.message;
};

const USUAL = ["README.md", "m-Q4_K_M.gguf", "m-Q4_K_S.gguf", "m-Q8_0.gguf", "mmproj-m-F16.gguf"];
const SPLIT = ["Q8_0/m-Q8_0-00002-of-00002.gguf", "Q8_0/m-Q8_0-00001-of-00002.gguf"];

describe("which files of a repository are meant", () => {
  test.each([
    { what: "a tag", paths: USUAL, file: "Q8_0", expected: ["m-Q8_0.gguf"] },
    { what: "a tag in small letters", paths: USUAL, file: "q4_k_s", expected: ["m-Q4_K_S.gguf"] },
    { what: "nothing: the usual one", paths: USUAL, file: undefined, expected: ["m-Q4_K_M.gguf"] },
    { what: "nothing: the only one", paths: ["x.gguf"], file: undefined, expected: ["x.gguf"] },
    { what: "a file", paths: USUAL, file: "m-Q8_0.gguf", expected: ["m-Q8_0.gguf"] },
    {
      what: "a tag of a set: its parts in order",
      paths: [...USUAL.slice(0, 2), ...SPLIT],
      file: "Q8_0",
      expected: SPLIT.toReversed(),
    },
    {
      what: "any part of a set: all parts",
      paths: SPLIT,
      file: "Q8_0/m-Q8_0-00002-of-00002.gguf",
      expected: SPLIT.toReversed(),
    },
    {
      what: "a tag that another one ends with",
      paths: ["m-UD-Q4_K_XL.gguf", "m-Q4_K_XL.gguf"],
      file: "Q4_K_XL",
      expected: ["m-Q4_K_XL.gguf"],
    },
    { what: "IQ4_XS, not Q4_XS", paths: ["m-IQ4_XS.gguf"], file: "IQ4_XS", expected: ["m-IQ4_XS.gguf"] },
  ])("$what", ({ paths, file, expected }) => {
    expect(chosen(paths, file)).toEqual(expected);
    expect(chosen(paths.toReversed(), file)).toEqual(expected);
  });

  test.each([
    { paths: ["README.md"], file: undefined, words: "org/repo has no GGUF file" },
    { paths: USUAL, file: "Q4_K", words: "has no GGUF of Q4_K" },
    { paths: USUAL, file: "Q4_K_N", words: "did you mean Q4_K_M?" },
    { paths: USUAL, file: "m-Q8_1.gguf", words: "did you mean m-Q8_0.gguf?" },
    { paths: ["m-Q8_0.gguf", "m-F16.gguf"], file: undefined, words: "none is Q4_K_M; it has F16, Q8_0" },
    { paths: ["a-Q8_0.gguf", "b-Q8_0.gguf"], file: "Q8_0", words: "has a-Q8_0.gguf and b-Q8_0.gguf" },
    { paths: SPLIT.slice(1), file: "Q8_0", words: "1 of its 2 parts are not there" },
    { paths: ["m-IQ4_XS.gguf"], file: "Q4_XS", words: "has no GGUF of Q4_XS" },
  ])("$file among $paths is refused: $words", ({ paths, file, words }) => {
    expect(chosen(paths, file)).toContain(words);
  });
});
