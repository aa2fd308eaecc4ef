import { createHash } from "node:crypto";
import { MIB_BYTES } from "../../../core/quantities.ts";
import type { ModelEntry } from "../../../protocol/gateway-api.ts";

/** The version of Ollama's API that is spoken: clients ask for it before they use what came with one. */
export const OLLAMA_VERSION = "0.13.5";

/** Nothing here leaves at a moment that is known before. */
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

/** Facts of a model file that are not known here are empty, not made up. */
const DETAILS = {
  parent_model: "",
  format: "gguf",
  family: "",
  families: [],
  parameter_size: "",
  quantization_level: "",
} as const;

/** Stands for the name: what lies in the file is known to neurons. Clients show the first twelve digits. */
const digestOf = (id: string): string => createHash("sha256").update(id).digest("hex");

const bytesOf = ({ locations }: ModelEntry): number =>
  Math.max(0, ...locations.map(({ vram_estimate_mb: mib }) => mib)) * MIB_BYTES;

const isoTime = (secs: number): string => new Date(secs * 1000).toISOString();

const listed = (entry: ModelEntry) => ({
  name: entry.id,
  model: entry.id,
  size: bytesOf(entry),
  digest: digestOf(entry.id),
  details: DETAILS,
});

/** `GET /api/tags`: everything that can be asked, loaded or not. */
export const toTags = (entries: readonly ModelEntry[]) => ({
  models: entries.map((entry) => ({ ...listed(entry), modified_at: isoTime(entry.created) })),
});

/** `GET /api/ps`: what is loaded, once for each copy. */
export const toRunning = (entries: readonly ModelEntry[]) => ({
  models: entries.flatMap((entry) =>
    entry.alias_of === undefined
      ? entry.locations
          .filter(({ status }) => status === "loaded")
          .map(({ node, vram_estimate_mb: mib }) => ({
            ...listed(entry),
            size: mib * MIB_BYTES,
            size_vram: mib * MIB_BYTES,
            expires_at: NEVER,
            ...(entry.limit === undefined ? {} : { context_length: entry.limit.context }),
            node,
          }))
      : [],
  ),
});

/** `POST /api/show`. Clients look for `general.architecture`, and under that name for the context. */
export const toShown = (entry: ModelEntry) => ({
  modelfile: `# ${entry.id} is declared in the fleet files of cortex`,
  parameters: entry.limit === undefined ? "" : `num_ctx ${entry.limit.context}`,
  template: "",
  details: DETAILS,
  model_info: {
    "general.architecture": "cortex",
    "general.basename": entry.id,
    ...(entry.limit === undefined ? {} : { "cortex.context_length": entry.limit.context }),
  },
  capabilities: capabilitiesOf(entry),
  modified_at: isoTime(entry.created),
});
