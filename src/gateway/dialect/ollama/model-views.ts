import { createHash } from "node:crypto";
import { MIB_BYTES } from "../../../core/quantities.ts";
import type { ModelEntry } from "../../../protocol/gateway-api.ts";

/** The version of Ollama's API that is spoken: clients ask for it before they use what came with one. */
export const OLLAMA_VERSION = "0.13.5";

/** It goes when others need its place, or not at all: no moment is known before. */
const NEVER = "2300-01-01T00:00:00Z";

/** What Ollama calls the abilities that models have here. */
const CAPABILITIES: Readonly<Record<string, string>> = {
  text: "completion",
  embeddings: "embedding",
  tools: "tools",
  vision: "vision",
  reasoning: "thinking",
};

function capabilitiesOf({ capabilities, loaded, tool_call: calls, reasoning }: ModelEntry): string[] {
  // Of a model that was never loaded and says nothing of itself nothing is known; clients offer none that cannot chat.
  if (capabilities.length === 0 && !loaded) return ["completion"];
  const named = capabilities.flatMap((one) => CAPABILITIES[one] ?? []);
  return [...new Set([...named, ...(calls ? ["tools"] : []), ...(reasoning ? ["thinking"] : [])])];
}

/** As Ollama writes it: `7.6B`, `494.03M`. */
export function parameterSize(parameters: number): string {
  if (parameters >= 1e9) return `${shortened(parameters / 1e9, 1)}B`;
  if (parameters >= 1e6) return `${shortened(parameters / 1e6, 2)}M`;
  return parameters >= 1e3 ? `${Math.round(parameters / 1e3)}K` : String(parameters);
}

const shortened = (value: number, digits: number): string => String(Number(value.toFixed(digits)));

/** What is not known of a model file is empty, not made up: before its first load, and of engines that do not tell. */
const detailsOf = ({ file }: ModelEntry) => ({
  parent_model: "",
  format: file === undefined ? "" : "gguf",
  family: file?.architecture ?? "",
  families: file === undefined ? [] : [file.architecture],
  parameter_size: file?.parameters == null ? "" : parameterSize(file.parameters),
  quantization_level: file?.quantization ?? "",
});

/** Stands for the name: what lies in the file is known to neurons. Clients show the first twelve digits. */
const digestOf = (id: string): string => createHash("sha256").update(id).digest("hex");

/** Of the file, else what a copy takes. */
const bytesOf = ({ file, locations }: ModelEntry): number =>
  file?.bytes ?? Math.max(0, ...locations.map(({ vram_estimate_mb: mib }) => mib)) * MIB_BYTES;

const isoTime = (secs: number): string => new Date(secs * 1000).toISOString();

const listed = (entry: ModelEntry) => ({
  name: entry.id,
  model: entry.id,
  size: bytesOf(entry),
  digest: digestOf(entry.id),
  details: detailsOf(entry),
});

/** `GET /api/tags`: everything that can be asked, loaded or not. */
export const toTags = (entries: readonly ModelEntry[]) => ({
  models: entries.map((entry) => ({
    ...listed(entry),
    modified_at: isoTime(entry.created),
    capabilities: capabilitiesOf(entry),
  })),
});

/** `GET /api/ps`: what is loaded, once for each copy. */
export const toRunning = (entries: readonly ModelEntry[]) => ({
  models: entries.flatMap((entry) =>
    entry.alias_of === undefined
      ? entry.locations
          .filter(({ status }) => status === "loaded")
          .map(({ node, vram_estimate_mb: mib, leaves_at_ms: atMs }) => ({
            ...listed(entry),
            size: mib * MIB_BYTES,
            size_vram: mib * MIB_BYTES,
            expires_at: atMs === undefined ? NEVER : new Date(atMs).toISOString(),
            ...(entry.limit === undefined ? {} : { context_length: entry.limit.context }),
            node,
          }))
      : [],
  ),
});

/** What is not from a file is named for us. */
const architectureOf = ({ file }: ModelEntry): string => file?.architecture ?? "cortex";

/**
 * `POST /api/show`. Clients look for `general.architecture`, and under that name for the context: what is served here
 * counts for them, so that stands there, and what the weights were trained for beside it.
 */
export const toShown = (entry: ModelEntry) => {
  const { file, limit } = entry;
  const architecture = architectureOf(entry);
  const context = limit?.context ?? file?.trained_context;
  return {
    modelfile: `# ${entry.id} is declared in the fleet files of cortex`,
    parameters: limit === undefined ? "" : `num_ctx ${limit.context}`,
    template: "",
    details: detailsOf(entry),
    model_info: {
      "general.architecture": architecture,
      "general.basename": entry.id,
      ...(file?.parameters == null ? {} : { "general.parameter_count": file.parameters }),
      ...(context === undefined ? {} : { [`${architecture}.context_length`]: context }),
      ...(file === undefined ? {} : { "cortex.trained_context_length": file.trained_context }),
      ...(file?.embedding_length == null
        ? {}
        : { [`${architecture}.embedding_length`]: file.embedding_length }),
    },
    capabilities: capabilitiesOf(entry),
    modified_at: isoTime(entry.created),
  };
};
