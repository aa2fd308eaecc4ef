import type { LoadOrigin, ModelSpec } from "../../protocol/neuron-api.ts";

/**
 * Models that are on their way back, by id. One whose worker died while it served comes back at once; one that dies
 * again and again comes back later each time, so that a machine is not busy with nothing but loading it. What could not
 * be restored after a start is among them too. A load or an unload that somebody asks for meanwhile takes the place of
 * the return.
 */
export type Restarts = ReadonlyMap<string, Restart>;

/** A copy that is gone and whose model is to come back: assigned to this neuron like one that is loaded. */
export interface AwaitedReturn {
  /** The copy that is gone. */
  readonly instance: string;
  readonly spec: ModelSpec;
  readonly origin: LoadOrigin;
  readonly requestedAtMs: number;
}

interface Restart {
  /** Deaths that followed each other closely. */
  readonly deaths: number;
  readonly lastDeathMs: number;
  /** While the return is awaited. */
  readonly awaited: AwaitedReturn | null;
}

const DELAYS_MS = [0, 2_000, 10_000, 30_000, 120_000];
/** A copy that lived so long is no part of a row of deaths. */
const ROW_ENDS_MS = 10 * 60_000;
/** Some 14 minutes of nothing but loading and dying: then it stays away until somebody asks for it. */
const MOST_DEATHS_IN_ROW = 10;
const KEPT_RESTARTS = 100;

/** Null for a delay: it has died too often, and does not come back by itself. */
export function afterLoss(
  restarts: Restarts,
  lost: AwaitedReturn,
  atMs: number,
): { readonly restarts: Restarts; readonly delayMs: number | null } {
  const modelId = lost.spec.model_id;
  const before = restarts.get(modelId);
  const inRow = before !== undefined && atMs - before.lastDeathMs < ROW_ENDS_MS;
  const deaths = inRow ? before.deaths + 1 : 1;
  const next = new Map(restarts);
  next.delete(modelId);
  if (deaths > MOST_DEATHS_IN_ROW) return { restarts: next, delayMs: null };
  next.set(modelId, { deaths, lastDeathMs: atMs, awaited: lost });
  return { restarts: kept(next), delayMs: DELAYS_MS[Math.min(deaths, DELAYS_MS.length) - 1] ?? 0 };
}

/** It is to come back without having died: no death, and none is forgotten. */
export function withAwaited(restarts: Restarts, awaited: AwaitedReturn, atMs: number): Restarts {
  const modelId = awaited.spec.model_id;
  const before = restarts.get(modelId) ?? { deaths: 0, lastDeathMs: atMs };
  return kept(new Map(restarts).set(modelId, { ...before, awaited }));
}

/** The oldest are forgotten beyond what is kept. */
function kept(restarts: Map<string, Restart>): Restarts {
  for (const oldest of [...restarts.keys()].slice(0, Math.max(0, restarts.size - KEPT_RESTARTS)))
    restarts.delete(oldest);
  return restarts;
}

export const awaitsRestart = (restarts: Restarts, modelId: string, instance: string): boolean =>
  restarts.get(modelId)?.awaited?.instance === instance;

export const awaitedReturns = (restarts: Restarts): readonly AwaitedReturn[] =>
  [...restarts.values()].flatMap(({ awaited }) => awaited ?? []);

/** The restart has begun, or somebody wants something else; the row of deaths is not forgotten. */
export function withoutAwaited(restarts: Restarts, modelId: string): Restarts {
  const restart = restarts.get(modelId);
  if (restart === undefined || restart.awaited === null) return restarts;
  return new Map(restarts).set(modelId, { ...restart, awaited: null });
}
