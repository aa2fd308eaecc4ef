import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { cpuFlags, cpuPackingOf } from "../../../src/neuron/model/cpu-packing.ts";
import {
  contextPerSlot,
  estimateFootprint,
  type FootprintQuestion,
  footprintMib,
  type ModelShape,
} from "../../../src/neuron/model/estimate-footprint.ts";
import { hasGgufMagic, readGgufHead } from "../../../src/neuron/model/gguf-head.ts";
import { readModelShape } from "../../../src/neuron/model/gguf-header.ts";
import { weightBytes } from "../../../src/neuron/model/weight-memory.ts";
import { shippedModelsDirectory } from "../../../src/platform/package-paths.ts";
import { writeTinyGguf, type TinyGgufOptions } from "../../support/neuron/gguf-writer.ts";
import { MIB } from "../../support/neuron/residency-builders.ts";

const GPU = { kind: "gpu" } as const;
const AMX = { kind: "cpu", packing: "amx" } as const;
const layer = { elementsPerToken: 8 * 256, windowTokens: null, bytesPerSlot: 0 };
const shape: ModelShape = {
  trainedContext: 131_072,
  embedding: 4096,
  feedForward: 14_336,
  vocabulary: 128_256,
  writesText: true,
  layerCaches: Array.from({ length: 32 }, () => layer),
  weights: null,
};
const question: FootprintQuestion = {
  fileBytes: 4000 * MIB,
  shape,
  contextTokens: 8192,
  parallel: 4,
  place: GPU,
};
const demo = readModelShape(readFileSync(join(shippedModelsDirectory(), "cortex-demo.gguf")));

const mib = (change: Partial<typeof question>) => footprintMib(estimateFootprint({ ...question, ...change }));

interface FootprintCase {
  readonly name: string;
  readonly change: Partial<FootprintQuestion>;
  readonly cacheMib: number;
}

const windowed = { ...shape, layerCaches: [layer, { ...layer, windowTokens: 512 }] };

describe("the estimate", () => {
  test.each<FootprintCase>([
    { name: "of four slots", change: {}, cacheMib: 4096 },
    { name: "of two slots", change: { parallel: 2 }, cacheMib: 2048 },
    { name: "of a context between two steps of the cache", change: { contextTokens: 8100 }, cacheMib: 4096 },
    {
      name: "of layers that look back 4096 tokens, one in two",
      change: {
        shape: {
          ...shape,
          layerCaches: shape.layerCaches.map((one, at) =>
            at % 2 === 0 ? { ...one, windowTokens: 4096 } : one,
          ),
        },
      },
      cacheMib: 2048 + (2048 * (4096 + 512)) / 8192,
    },
    {
      name: "of layers that keep a state instead",
      change: {
        shape: {
          ...shape,
          layerCaches: [{ elementsPerToken: 0, windowTokens: null, bytesPerSlot: 3 * MIB }],
        },
      },
      cacheMib: 12,
    },
    { name: "of a cache in q8_0", change: { cacheType: "q8_0" }, cacheMib: (4096 * 34) / 64 },
    { name: "of a cache in f32", change: { cacheType: "f32" }, cacheMib: 8192 },
    {
      name: "of windows that are kept whole",
      change: { keepsWindows: true, shape: windowed },
      cacheMib: 2 * 4 * 32,
    },
    { name: "of an encoder", change: { shape: { ...shape, writesText: false } }, cacheMib: 0 },
    { name: "of a silent header", change: { shape: null, contextTokens: null }, cacheMib: 600 },
  ])("$name", ({ change, cacheMib }) => {
    expect(estimateFootprint({ ...question, ...change }).cacheBytes).toBe(cacheMib * MIB);
  });

  test("tells what one more token costs, over all slots and only where the cache grows", () => {
    expect(estimateFootprint(question).cacheBytesPerToken).toBe(4 * 32 * 2048 * 2);
    expect(estimateFootprint({ ...question, shape: windowed }).cacheBytesPerToken).toBe(4 * 2048 * 2);
    expect(estimateFootprint({ ...question, shape: null }).cacheBytesPerToken).toBeNull();
  });

  test("grows with context, slots and vocabulary", () => {
    expect(mib({ contextTokens: 16_384 })).toBeGreaterThan(mib({}));
    expect(mib({ parallel: 5 })).toBeGreaterThan(mib({}));
    expect(mib({ shape: { ...shape, vocabulary: 256_512 } })).toBeGreaterThan(mib({}));
  });

  // Measured with node-llama-cpp 3.22.1 on a processor with AMX; the tiny file is the default one of the tests' writer.
  test.each([
    { file: "demo", context: 256, parallel: 1, model: 14_188_544, rest: 4_398_080 },
    { file: "demo", context: 1024, parallel: 1, model: 14_188_544, rest: 11_679_744 },
    { file: "demo", context: 8192, parallel: 1, model: 14_188_544, rest: 48_379_904 },
    { file: "demo", context: 2048, parallel: 4, model: 14_188_544, rest: 42_088_448 },
    { file: "tiny", context: 512, parallel: 1, model: 463_104, rest: 1_849_344 },
    { file: "tiny", context: 8192, parallel: 1, model: 463_104, rest: 13_645_824 },
    { file: "tiny", context: 2048, parallel: 4, model: 463_104, rest: 7_354_368 },
  ])("of the $file model is within 5 % or 1 MiB: context $context, $parallel slots", (measured) => {
    const known = measured.file === "demo" ? demo : readModelShape(writeTinyGguf());
    const { context: contextTokens, parallel } = measured;
    const found = estimateFootprint({ fileBytes: 0, shape: known, contextTokens, parallel, place: AMX });
    expect(found.weightBytes).toBe(measured.model);
    const total = found.weightBytes + found.cacheBytes + found.computeBytes;
    const bytes = measured.model + measured.rest;
    expect(Math.abs(total - bytes)).toBeLessThan(Math.max(MIB, 0.05 * bytes));
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

const tensor = (
  name: string,
  dimensions: readonly number[],
  more: { type?: number; offset?: number } = {},
) => ({
  name,
  dimensions,
  type: more.type ?? 12,
  offset: more.offset ?? 0,
});

describe("the weights", () => {
  const embedding = tensor("token_embd.weight", [256, 1000], { type: 0 });
  const matrix = tensor("blk.0.attn_q.weight", [256, 64], { offset: 1_024_000 });
  const output = tensor("output.weight", [256, 1000], { type: 0, offset: 1_040_000 });

  test.each([
    ["a GPU leaves the embeddings in main memory", [embedding, matrix, output], GPU, 64 * 144 + 1_024_000],
    [
      "a GPU has them a second time for an output that shares them",
      [embedding, matrix],
      GPU,
      64 * 144 + 1_024_000,
    ],
    [
      "a processor maps the file",
      [embedding, matrix],
      { kind: "cpu", packing: "none" },
      1_024_000 + 64 * 144,
    ],
    ["and has what it packs twice", [embedding, matrix, output], AMX, 2_064_000 + 64 * 148],
    ["nobody knows a type of tomorrow", [tensor("x", [1], { type: 99 })], GPU, null],
  ] as const)("%s", (...[, tensors, place, bytes]) => {
    expect(weightBytes([tensors], place)).toBe(bytes);
  });
});

test.each([
  ["x64", "flags\t\t: fpu avx2 avx512f avx512bw avx512_vnni amx_tile amx_int8", "amx"],
  ["x64", "processor : 0\nflags : avx2 avx512f avx512bw\nbugs :", "avx512"],
  ["x64", "flags : avx avx2 fma", "avx2"],
  ["x64", "flags : sse2", "none"],
  ["x64", "", "none"],
  ["arm64", "Features : asimddp", "neon"],
])("on %s with %j weights are packed for %s", (architecture, cpuinfo, packing) => {
  expect(cpuPackingOf(architecture, cpuFlags(cpuinfo))).toBe(packing);
});

const withMetadata = (metadata: NonNullable<TinyGgufOptions["metadata"]>) =>
  readModelShape(writeTinyGguf({ metadata }));

const windows = (name: string, every?: { readonly uint32: number }) =>
  withMetadata({
    "general.architecture": name,
    ...Object.fromEntries(
      ["context_length", "embedding_length", "block_count", "attention.head_count"].map((figure) => [
        `${name}.${figure}`,
        { uint32: figure === "block_count" ? 6 : 64 },
      ]),
    ),
    [`${name}.attention.sliding_window`]: { uint32: 512 },
    ...(every === undefined ? {} : { [`${name}.attention.sliding_window_pattern`]: every }),
  })?.layerCaches.map(({ windowTokens }) => (windowTokens === null ? "-" : "w"));

describe("the header of a file", () => {
  test("tells the shape; the list of tensors only when it is whole", () => {
    const file = writeTinyGguf();
    const whole = readModelShape(file);
    expect(whole).toMatchObject({
      trainedContext: 1024,
      embedding: 64,
      feedForward: 128,
      vocabulary: 262,
      layerCaches: [{ elementsPerToken: 128 }, { elementsPerToken: 128 }],
    });
    const cutInTheList = readModelShape(file.subarray(0, 9000));
    expect(cutInTheList).toEqual({ ...whole, weights: null, vocabulary: null });
    for (const length of [0, 3, 4, 20, 100]) expect(readModelShape(file.subarray(0, length))).toBeNull();
    for (let length = 0; length < 12_000; length += 7) readGgufHead(file.subarray(0, length));
  });

  test("of an architecture with windows tells which layers have one", () => {
    expect(windows("gemma3")?.join("")).toBe("wwwww-");
    expect(windows("gpt-oss")?.join("")).toBe("w-w-w-");
    expect(windows("smallthinker")?.join("")).toBe("-www-w");
    expect(windows("gemma3", { uint32: 3 })?.join("")).toBe("ww-ww-");
    expect(windows("of-tomorrow")?.join("")).toBe("------");
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
