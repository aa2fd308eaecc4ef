/**
 * Models whose worker died while it served, by id. The model comes back at once; one that dies again and again comes
 * back later each time, so that a machine is not busy with nothing but loading it. A load or an unload that somebody
 * asks for meanwhile takes the place of the restart.
 */
export type Restarts = ReadonlyMap<string, Restart>;

interface Restart {
  /** Deaths that followed each other closely. */
  readonly deaths: number;
  readonly lastDeathMs: number;
  /** The copy that died, while its restart is awaited. */
  readonly awaited: string | null;
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
  modelId: string,
  lost: { readonly instance: string; readonly atMs: number },
): { readonly restarts: Restarts; readonly delayMs: number | null } {
  const before = restarts.get(modelId);
  const inRow = before !== undefined && lost.atMs - before.lastDeathMs < ROW_ENDS_MS;
  const deaths = inRow ? before.deaths + 1 : 1;
  const next = new Map(restarts);
  next.delete(modelId);
  if (deaths > MOST_DEATHS_IN_ROW) return { restarts: next, delayMs: null };
  next.set(modelId, { deaths, lastDeathMs: lost.atMs, awaited: lost.instance });
  return { restarts: kept(next), delayMs: DELAYS_MS[Math.min(deaths, DELAYS_MS.length) - 1] ?? 0 };
}

/** Its copy went to come back: no death, and none is forgotten. */
export function withAwaited(
  restarts: Restarts,
  modelId: string,
  { instance, atMs }: { readonly instance: string; readonly atMs: number },
): Restarts {
  const before = restarts.get(modelId) ?? { deaths: 0, lastDeathMs: atMs };
  return kept(new Map(restarts).set(modelId, { ...before, awaited: instance }));
}

/** The oldest are forgotten beyond what is kept. */
function kept(restarts: Map<string, Restart>): Restarts {
  for (const oldest of [...restarts.keys()].slice(0, Math.max(0, restarts.size - KEPT_RESTARTS)))
    restarts.delete(oldest);
  return restarts;
}

export const awaitsRestart = (restarts: Restarts, modelId: string, instance: string): boolean =>
  restarts.get(modelId)?.awaited === instance;

/** The restart has begun, or somebody wants something else; the row of deaths is not forgotten. */
export function withoutAwaited(restarts: Restarts, modelId: string): Restarts {
  const restart = restarts.get(modelId);
  if (restart === undefined || restart.awaited === null) return restarts;
  return new Map(restarts).set(modelId, { ...restart, awaited: null });
}
