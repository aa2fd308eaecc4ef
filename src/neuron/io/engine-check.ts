import type { CortexError } from "../../core/errors.ts";
import type { Logger } from "../../platform/logger.ts";
import { engineVersions } from "../../platform/package-paths.ts";
import { missingEngine, type EngineVersions } from "../machine/engine-on-hand.ts";
import type { SimulationConfig } from "./simulation.ts";

/**
 * Why the engine of the card is not there; null when it is, or is not asked for. Without it a neuron has external
 * engines to offer, and says so; a simulated one answers from the processor and has nothing: throws engine_missing.
 */
export function lookForEngine(
  {
    engine,
    simulation,
  }: { readonly engine?: EngineVersions | undefined; readonly simulation?: SimulationConfig | undefined },
  logger: Logger,
): CortexError | null {
  if (simulation?.script !== undefined) return null;
  const missing = missingEngine(engine ?? engineVersions());
  if (missing === null) return null;
  if (simulation !== undefined) throw missing;
  logger.warn(`${missing.message}; models of external engines only. To have it, ${missing.next ?? ""}`);
  return missing;
}
