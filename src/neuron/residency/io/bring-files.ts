import { CortexError } from "../../../core/errors.ts";
import type { ModelSpec } from "../../../protocol/neuron-api.ts";
import type { ModelFileFacts, ModelFiles } from "../../model/io/model-files.ts";
import type { ModelStore, StoreProgress } from "../../store/io/model-store.ts";
import type { CompanionFiles } from "../residency-state.ts";

/** A model's file and those that it is loaded with. */
export interface SpecFiles {
  readonly file: ModelFileFacts;
  readonly lora: readonly (Pick<ModelFileFacts, "path" | "fileBytes"> & { readonly scale: number })[];
  readonly draft: ModelFileFacts | null;
}

/** Finds one file: fetches it, or looks whether it is here. */
type Find = (spec: ModelSpec) => Promise<ModelFileFacts>;

/** Fetches what is not here and checks what is. Throws what the store and `ModelFiles.verify` throw. */
export function bringFiles(
  spec: ModelSpec,
  how: {
    readonly modelFiles: Pick<ModelFiles, "verify">;
    readonly modelStore: Pick<ModelStore, "fetch">;
    readonly signal: AbortSignal;
    readonly onProgress: (news: StoreProgress) => void;
  },
): Promise<SpecFiles> {
  const { modelFiles, modelStore, signal, onProgress } = how;
  return findFiles(spec, async (asked) => {
    if (asked.source === undefined) return modelFiles.verify(asked, signal);
    const stored = await modelStore.fetch(asked.source, { signal, sha256: asked.sha256, onProgress });
    if (stored === null) return modelFiles.verify(asked, signal);
    // Its digest was taken when it came, and compared with what is pinned.
    const { sha256: _compared, ...rest } = asked;
    return modelFiles.verify({ ...rest, source: `file:${stored.path}` }, signal);
  });
}

export async function findFiles(spec: ModelSpec, find: Find): Promise<SpecFiles> {
  const file = await find(spec);
  // The pin is of the model's own file.
  const { sha256: _pinned, ...unpinned } = spec;
  const lora: SpecFiles["lora"][number][] = [];
  for (const { source, scale } of spec.lora ?? []) {
    const { path, fileBytes } = await inNameOf("lora", () => find({ ...unpinned, source }));
    lora.push({ path, fileBytes, scale });
  }
  const { draft: source } = spec;
  const draft = source === undefined ? null : await inNameOf("draft", () => find({ ...unpinned, source }));
  return { file, lora, draft };
}

/** What the worker is told of the files beside the model. */
export const companionsOf = ({ lora, draft }: SpecFiles): CompanionFiles => ({
  lora: lora.map(({ path, scale }) => ({ path, scale })),
  draftPath: draft?.path ?? null,
});

/** Whoever reads of a file that is missing must not look for it at the model's own source. */
async function inNameOf<Result>(field: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (thrown) {
    if (!(thrown instanceof CortexError)) throw thrown;
    const { code, message, details, next } = thrown;
    throw new CortexError(code, `\`${field}\`: ${message}`, { param: field, details, next, cause: thrown });
  }
}
