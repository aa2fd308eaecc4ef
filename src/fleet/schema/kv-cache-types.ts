/** Those that llama.cpp can keep a cache in and node-llama-cpp names. */
export const KV_CACHE_TYPES = ["f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0"] as const;
