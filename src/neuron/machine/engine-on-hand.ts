import { CortexError } from "../../core/errors.ts";

/** The inference engine, node-llama-cpp: a gateway or a CI runner does without it, a neuron with models of its own does not. */
export interface EngineVersions {
  /** The one version that this package works with. */
  readonly needed: string;
  /** null: none is installed where this package looks for it. */
  readonly installed: string | null;
}

/** Why no model can be loaded into the engine of the card, and what gives it one; null when it is there. */
export function missingEngine({ needed, installed }: EngineVersions): CortexError | null {
  if (installed === needed) return null;
  const message =
    installed === null
      ? `the engine is not installed: node-llama-cpp ${needed} is not found beside cortex`
      : `node-llama-cpp ${installed} is installed, and this cortex works with ${needed} only`;
  return new CortexError("engine_missing", message, {
    next: `run \`npm install node-llama-cpp@${needed}\` where cortex is installed (with --global if cortex is), or install the package cortex-neuron; then start again`,
  });
}
