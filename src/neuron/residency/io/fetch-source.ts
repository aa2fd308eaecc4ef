import type { ModelSpec } from "../../../protocol/neuron-api.ts";
import type { ModelStore, StoreProgress } from "../../store/io/model-store.ts";

/** The spec with its file here, fetched if need be. */
export async function fetchSource(
  spec: ModelSpec,
  how: {
    readonly modelStore: Pick<ModelStore, "fetch">;
    readonly signal: AbortSignal;
    readonly onProgress: (news: StoreProgress) => void;
  },
): Promise<ModelSpec> {
  if (spec.source === undefined) return spec;
  const { modelStore, signal, onProgress } = how;
  const stored = await modelStore.fetch(spec.source, { signal, sha256: spec.sha256, onProgress });
  if (stored === null) return spec;
  // Its digest was taken when it came, and compared with what is pinned.
  const { sha256: _compared, ...rest } = spec;
  return { ...rest, source: `file:${stored.path}` };
}
