import { by } from "../../core/order.ts";
import type { ModelEstimate, ModelFact } from "../../protocol/neuron-api.ts";

/** What an estimate tells of a model; nothing where it only repeats the catalogue or guesses from the file's size. */
export function factOf(estimate: ModelEstimate): readonly ModelFact[] {
  const { source, model_id, spec_hash, cache_bytes_per_token, load_secs, load_secs_source } = estimate;
  const { fetch_bytes } = estimate;
  if (source === "file_size") return [];
  // Without a cache per token the header did not tell either.
  if (source === "declared" && cache_bytes_per_token === undefined) return [];
  return [
    {
      model_id,
      spec_hash,
      // What the catalogue declares is for the planner to weigh; the header is what the neuron adds to it.
      source: source === "measured" ? "measured" : "metadata",
      vram_mb: source === "declared" ? headerMib(estimate) : estimate.vram_mb,
      ...(cache_bytes_per_token === undefined ? {} : { cache_bytes_per_token }),
      ...(fetch_bytes === undefined ? {} : { fetch_bytes }),
      ...(load_secs === null || load_secs_source === null ? {} : { load_secs, load_secs_source }),
    },
  ];
}

const headerMib = ({ weights_mb, cache_mb, compute_mb }: ModelEstimate): number =>
  weights_mb + cache_mb + compute_mb;

/** In one order, and each once: the neuron tells of its past loads by itself, and again when it is asked. */
export function sortedFacts(facts: readonly ModelFact[]): ModelFact[] {
  return [...new Map(facts.map((fact) => [keyOf(fact), fact])).values()].toSorted(by(keyOf));
}

const keyOf = (fact: ModelFact): string => `${fact.model_id} ${fact.spec_hash} ${fact.source}`;
