import { CortexError } from "../../core/errors.ts";

/**
 * Which requests are held to end workers, by neuron and gateway alike. When native code dies, all requests that it
 * was at work on die with it, and nobody can say whose fault it was. So:
 *
 * - A request that was alone when its worker died by its own doing is condemned: it is not run again.
 * - One that was not alone is a suspect. Suspects of a model are run one at a time (by the neuron), so that at the next
 *   death at most one of them is at hand, and it is condemned: a bystander is never condemned with the culprit.
 * - One whose answer is complete is cleared, and suspicion is forgotten after a while, so that a chance (a full machine,
 *   a driver that hung) is not held against anybody for long.
 */
export type Suspects = ReadonlyMap<string, Suspect>;

interface Suspect {
  /** Workers that died with this request in flight. */
  readonly deaths: number;
  readonly condemned: boolean;
  readonly lastDeathMs: number;
}

export const NO_SUSPECTS: Suspects = new Map();

/** Deaths after which a request is condemned, whoever was in flight beside it. */
const MOST_DEATHS = 2;
const SUSPICION_MS = 10 * 60_000;
export const CONDEMNED_MS = 60 * 60_000;
/** The oldest are forgotten beyond it. */
const KEPT_SUSPECTS = 1000;

/** One request on one model. */
export const suspectKey = (modelId: string, fingerprint: string): string => `${modelId}\n${fingerprint}`;

export type Standing =
  | { readonly kind: "unsuspected" }
  /** It was in flight at so many deaths. */
  | { readonly kind: "suspect"; readonly deaths: number }
  /** It is refused for so much longer. */
  | { readonly kind: "condemned"; readonly forMs: number };

const UNSUSPECTED: Standing = { kind: "unsuspected" };

export function standingOf(suspects: Suspects, key: string, atMs: number): Standing {
  const suspect = suspects.get(key);
  if (suspect === undefined) return UNSUSPECTED;
  const { condemned, deaths, lastDeathMs } = suspect;
  const leftMs = lastDeathMs + (condemned ? CONDEMNED_MS : SUSPICION_MS) - atMs;
  if (leftMs <= 0) return UNSUSPECTED;
  return condemned ? { kind: "condemned", forMs: leftMs } : { kind: "suspect", deaths };
}

export interface WorkerDeath {
  /** Requests in flight, with the deaths that others have seen them at. */
  readonly inFlight: readonly { readonly key: string; readonly deathsElsewhere: number }[];
  /** By a fault of its own, and not by somebody's signal. */
  readonly ownDoing: boolean;
  readonly atMs: number;
}

export function afterDeath(suspects: Suspects, { inFlight, ownDoing, atMs }: WorkerDeath): Suspects {
  const requests = new Map(inFlight.map(({ key, deathsElsewhere }) => [key, deathsElsewhere]));
  let next = suspects;
  for (const [key, deathsElsewhere] of requests) {
    const standing = standingOf(suspects, key, atMs);
    const before = standing.kind === "suspect" ? standing.deaths : 0;
    const deaths = Math.max(before, deathsElsewhere) + 1;
    const condemned = deaths >= MOST_DEATHS || (ownDoing && requests.size === 1);
    next = withSuspect(next, key, { deaths, condemned, lastDeathMs: atMs });
  }
  return next;
}

/** Its answer was complete. What is condemned stays so: it is not run, so this is about an earlier run. */
export function afterAnswer(suspects: Suspects, key: string): Suspects {
  const suspect = suspects.get(key);
  if (suspect === undefined || suspect.condemned) return suspects;
  const next = new Map(suspects);
  next.delete(key);
  return next;
}

/** The neuron has said so. */
export const condemn = (suspects: Suspects, key: string, atMs: number): Suspects =>
  withSuspect(suspects, key, { deaths: MOST_DEATHS, condemned: true, lastDeathMs: atMs });

function withSuspect(suspects: Suspects, key: string, suspect: Suspect): Suspects {
  const next = new Map(suspects);
  next.delete(key);
  next.set(key, suspect);
  for (const oldest of [...next.keys()].slice(0, Math.max(0, next.size - KEPT_SUSPECTS))) next.delete(oldest);
  return next;
}

/** The answer to a condemned request: final, so that no client sends it again and again. */
export const refuseCondemned = (refused: {
  readonly modelId: string;
  readonly fingerprint: string;
  readonly forMs: number;
  readonly details?: Readonly<Record<string, unknown>>;
}): CortexError =>
  new CortexError(
    "request_ended_worker",
    `this request ended the worker of ${refused.modelId} and is not run again (fingerprint ${refused.fingerprint})`,
    {
      details: {
        ...refused.details,
        fingerprint: refused.fingerprint,
        refused_for_secs: Math.ceil(refused.forMs / 1000),
      },
    },
  );

/** How a gateway tells a neuron at how many deaths elsewhere the request was in flight. */
export const DEATHS_HEADER = "x-cortex-deaths";

export const readDeaths = (header: string | string[] | undefined): number =>
  typeof header === "string" && /^\d{1,3}$/.test(header) ? Number(header) : 0;
