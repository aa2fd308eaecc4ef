import { describe, expect, test } from "vitest";
import {
  describeFacts,
  factAbout,
  predictLoad,
  readLearnt,
  rememberLoad,
  rememberThreads,
  threadsFor,
  writeLearnt,
  type LoadFact,
} from "../../../src/neuron/residency/load-facts.ts";

const MIB = 1024 * 1024;
const fact = (changes: Partial<LoadFact> = {}): LoadFact => ({
  model_id: "m",
  spec_hash: "a",
  file_bytes: 1000 * MIB,
  device_kind: "cuda",
  vram_mb: 1200,
  load_ms: 4000,
  ...changes,
});

test("the latest load of a file in its settings counts, on one kind of device", () => {
  const facts = [fact(), fact({ device_kind: "cpu", vram_mb: 2400 }), fact({ vram_mb: 1300 })].reduce(
    rememberLoad,
    [],
  );
  expect(facts).toHaveLength(2);
  expect(factAbout(facts, fact())?.vram_mb).toBe(1300);
  expect(factAbout(facts, fact({ device_kind: "cpu" }))?.vram_mb).toBe(2400);
  expect(factAbout(facts, fact({ file_bytes: 5 }))).toBeUndefined();
  expect(factAbout(facts, fact({ spec_hash: "b" }))).toBeUndefined();
});

const calibration = (key: string, threads: number) => ({
  key,
  prompts: { threads, cost_ms: 3 },
  answers: [{ streams: 1, threads, cost_ms: 20 }],
});

test("the latest choice of threads for a key counts, and only files of that size are told of it", () => {
  const threads = [
    { file_bytes: 5, calibration: calibration("a", 1) },
    { file_bytes: 5, calibration: calibration("b", 1) },
    { file_bytes: 6, calibration: calibration("c", 1) },
    { file_bytes: 5, calibration: calibration("a", 2) },
  ].reduce(rememberThreads, []);
  expect(threadsFor(threads, 5)).toEqual([calibration("b", 1), calibration("a", 2)]);
  expect(threadsFor(threads, 7)).toEqual([]);
});

test("only so many are kept, the latest", () => {
  let facts: readonly LoadFact[] = [];
  for (let at = 0; at < 600; at += 1) facts = rememberLoad(facts, fact({ spec_hash: String(at) }));
  expect(facts).toHaveLength(500);
  expect(facts[0]?.spec_hash).toBe("100");
});

describe("a load is expected to take", () => {
  const known = [fact(), fact({ spec_hash: "big", file_bytes: 8000 * MIB, load_ms: 20_000 })];
  test.each([
    ["what it took before", known, fact(), { ms: 4000, source: "measured" }],
    [
      "what the file next in size took, in proportion",
      known,
      fact({ spec_hash: "x", file_bytes: 2000 * MIB }),
      { ms: 8000, source: "neuron_rate" },
    ],
    [
      "no less than a larger file for being smaller",
      known,
      fact({ spec_hash: "x", file_bytes: 10 * MIB }),
      { ms: 4000, source: "neuron_rate" },
    ],
    ["nobody knows how long on other devices", known, fact({ device_kind: "metal" }), null],
    [
      "nobody knows how long after small files only",
      [fact({ file_bytes: MIB })],
      fact({ spec_hash: "x" }),
      null,
    ],
  ] as const)("%s", (...[, facts, asked, expected]) => {
    expect(predictLoad(facts, asked)).toEqual(expected);
  });
});

test("they survive a file, and a file that holds none is no trouble", () => {
  const facts = [fact(), fact({ spec_hash: "b" })];
  const threads = [{ file_bytes: 5, calibration: calibration("k", 2) }];
  expect(readLearnt(writeLearnt({ facts, threads }))).toEqual({ facts, threads });
  // As versions of before have written it, and with choices that cannot be read.
  for (const more of ["", ',"threads":[{}]'])
    expect(readLearnt(`{"version":1,"facts":[]${more}}`)).toEqual({ facts: [], threads: [] });
  for (const text of ["", "{", "[]", '{"version":2,"facts":[]}', '{"version":1,"facts":[{}]}'])
    expect(readLearnt(text)).toEqual({ facts: [], threads: [] });
  expect(describeFacts(facts)[0]).toMatchObject({ source: "measured", vram_mb: 1200, load_secs: 4 });
});

test("what a model turned out to be is kept with it, and told; facts of before hold none", () => {
  const file = {
    bytes: 10,
    architecture: "llama",
    parameters: null,
    quantization: "Q8_0",
    trained_context: 8192,
    embedding_length: null,
  };
  const abilities = { capabilities: ["text", "tools"], tool_call: true, reasoning: false };
  const kept = readLearnt(
    writeLearnt({ facts: [fact({ file, abilities }), fact({ spec_hash: "b" })], threads: [] }),
  );
  expect(describeFacts(kept.facts)).toMatchObject([{ file, abilities }, { spec_hash: "b" }]);
  expect(describeFacts(kept.facts)[1]).not.toHaveProperty("file");
});
