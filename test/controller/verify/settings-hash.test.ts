import { expect, test } from "vitest";
import { settingsHash } from "../../../src/controller/verify/rules.ts";
import { modelSpecSchema } from "../../../src/protocol/neuron-api.ts";
import { specHash } from "../../../src/protocol/spec-hash.ts";

const external = { harness: "openai", endpoint: "http://127.0.0.1:8000" };
const started = { harness: "openai", command: ["vllm", "serve"], vram_mb: 1 };

test("the second opinion tells settings apart as the wire does: threads are settings, devices are not", () => {
  const llama = [
    {},
    { threads: 1 },
    { threads: 2 },
    { kv_cache_type: "q8_0" },
    { threads: 2, kv_cache_type: "q8_0" },
    { flash_attention: false },
    { swa_full: true },
    { batch_size: 1024 },
    { threads: 2, batch_size: 1024 },
    { lora: [{ source: "file:/a.gguf" }] },
    { lora: [{ source: "file:/a.gguf", scale: 0.5 }] },
    { draft: "file:/d.gguf" },
    { draft: "file:/d.gguf", prompt_lookup: true },
    { prompt_lookup: true },
  ];
  const specs = [...llama, external, { ...external, threads: 2 }, started].map((settings) =>
    modelSpecSchema.parse({ model_id: "m", ...settings }),
  );
  const hashes = specs.map((spec) => specHash(spec));
  expect(new Set(hashes).size).toBe(specs.length);
  expect(specs.map((spec) => settingsHash(spec))).toEqual(hashes);
  expect(specHash(modelSpecSchema.parse({ model_id: "m", devices: [1] }))).toBe(hashes[0]);
});
