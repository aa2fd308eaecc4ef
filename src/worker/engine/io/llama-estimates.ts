import { GgufInsights } from "node-llama-cpp";

/**
 * Before it loads a model and before it makes a context the binding loads the model without its weights, to learn how
 * much memory it will take: twice the vocabulary and the graphs, which doubled the time of a load (262,144 tokens:
 * 3.0 s of CPU instead of 1.7 s). On a GPU that is how layers are fitted to its memory; on a CPU there is nothing to
 * fit, and the binding's own estimate from the file's header says as well whether main memory holds the model.
 *
 * The place is not part of the binding's public interface; its version is pinned, and a test notices when it moves.
 */
export function estimateFromHeader(): void {
  Object.defineProperty(GgufInsights.prototype, "_resolveSimulatorSource", {
    configurable: true,
    value: () => Promise.resolve(null),
  });
}
