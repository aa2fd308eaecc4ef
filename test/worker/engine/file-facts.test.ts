import { expect, test } from "vitest";
import { fileFacts } from "../../../src/worker/engine/file-facts.ts";

const READ = {
  bytes: 10,
  architecture: "llama",
  parameters: 8_030_261_312,
  fileType: 15,
  trainedContext: 8192,
  embeddingLength: 4096,
};

test("what a file says, with the quantization by its name", () => {
  expect(fileFacts(READ)).toEqual({
    bytes: 10,
    architecture: "llama",
    parameters: 8_030_261_312,
    quantization: "Q4_K_M",
    trained_context: 8192,
    embedding_length: 4096,
  });
});

test.each([
  [undefined, null],
  [999, null],
  [0, "F32"],
  [32, "BF16"],
])("file type %s is %s", (fileType, quantization) => {
  expect(fileFacts({ ...READ, fileType }).quantization).toBe(quantization);
});
