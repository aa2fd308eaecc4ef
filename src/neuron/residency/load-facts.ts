import { z } from "zod";
import { modelAbilitiesSchema, modelFileSchema, type ModelFact } from "../../protocol/neuron-api.ts";
import { calibrationSchema, type Calibration } from "../../protocol/worker-messages.ts";

/** What a load taught: how much memory a file takes in certain settings, and how long it takes to come. */
const loadFactSchema = z.object({
  model_id: z.string(),
  spec_hash: z.string(),
  /** Together with the hash it tells a file from the one that stood in its place before. */
  file_bytes: z.int().nonnegative(),
  /** On other devices the same file takes other memory. */
  device_kind: z.string(),
  vram_mb: z.int().nonnegative(),
  load_ms: z.number().nonnegative(),
  /** What clients are shown of a model that is not loaded; facts of before hold neither. */
  file: modelFileSchema.optional().catch(undefined),
  abilities: modelAbilitiesSchema.optional().catch(undefined),
});
export type LoadFact = z.infer<typeof loadFactSchema>;

/** Oldest first. */
export type LoadFacts = readonly LoadFact[];

/** Which threads a worker chose; only workers can tell by the key whether it is about the file that they load. */
const threadFactSchema = z.object({ file_bytes: z.int().nonnegative(), calibration: calibrationSchema });
type ThreadFact = z.infer<typeof threadFactSchema>;

/** All that loads taught. */
export interface Learnt {
  readonly facts: LoadFacts;
  /** Oldest first. */
  readonly threads: readonly ThreadFact[];
}

const keptSchema = z.object({
  version: z.literal(1),
  facts: z.array(loadFactSchema),
  // Files of before hold none; those that cannot be read are chosen again.
  threads: z.array(threadFactSchema).catch([]).default([]),
});

const KEPT_FACTS = 500;
/** Smaller files say nothing about the disk. */
const TELLING_BYTES = 32 * 1024 * 1024;

type Loadable = Pick<LoadFact, "spec_hash" | "file_bytes" | "device_kind">;

const isAbout = (fact: LoadFact, asked: Loadable): boolean =>
  fact.spec_hash === asked.spec_hash &&
  fact.file_bytes === asked.file_bytes &&
  fact.device_kind === asked.device_kind;

/** The latest load of a file in these settings counts: engine and driver change, and figures with them. */
export const rememberLoad = (facts: LoadFacts, fact: LoadFact): LoadFacts =>
  [...facts.filter((old) => !isAbout(old, fact)), fact].slice(-KEPT_FACTS);

/** The latest choice for a key counts. */
export const rememberThreads = (threads: readonly ThreadFact[], fact: ThreadFact): readonly ThreadFact[] =>
  [...threads.filter(({ calibration }) => calibration.key !== fact.calibration.key), fact].slice(-KEPT_FACTS);

/** What may be about a file: another of the same size has another key. */
export const threadsFor = (threads: readonly ThreadFact[], fileBytes: number): readonly Calibration[] =>
  threads.filter((fact) => fact.file_bytes === fileBytes).map(({ calibration }) => calibration);

export const factAbout = (facts: LoadFacts, asked: Loadable): LoadFact | undefined =>
  facts.findLast((fact) => isAbout(fact, asked));

export interface PredictedLoad {
  readonly ms: number;
  readonly source: "measured" | "neuron_rate";
}

/**
 * How long a load takes: as it took before, else by the file that is nearest in size, in proportion where it is smaller
 * than this one. Null when no load tells.
 */
export function predictLoad(facts: LoadFacts, asked: Loadable): PredictedLoad | null {
  const same = factAbout(facts, asked);
  if (same !== undefined) return { ms: same.load_ms, source: "measured" };
  const telling = facts.filter(
    (fact) => fact.device_kind === asked.device_kind && fact.file_bytes >= TELLING_BYTES,
  );
  const distance = ({ file_bytes: bytes }: LoadFact): number => Math.abs(Math.log(bytes / asked.file_bytes));
  const [nearest] = telling.toSorted((left, right) => distance(left) - distance(right));
  if (nearest === undefined || asked.file_bytes === 0) return null;
  const ratio = Math.max(1, asked.file_bytes / nearest.file_bytes);
  return { ms: Math.round(nearest.load_ms * ratio), source: "neuron_rate" };
}

/** As `GET /discovery` tells them. */
export const describeFacts = (facts: LoadFacts): ModelFact[] =>
  facts.map((fact) => ({
    model_id: fact.model_id,
    spec_hash: fact.spec_hash,
    source: "measured",
    vram_mb: fact.vram_mb,
    load_secs: Math.round(fact.load_ms / 100) / 10,
    load_secs_source: "measured",
    ...(fact.file === undefined ? {} : { file: fact.file }),
    ...(fact.abilities === undefined ? {} : { abilities: fact.abilities }),
  }));

export const writeLearnt = ({ facts, threads }: Learnt): string =>
  `${JSON.stringify({ version: 1, facts, threads })}\n`;

/** Empty for a text that holds nothing: it is learnt again. */
export function readLearnt(text: string): Learnt {
  try {
    const { facts, threads } = keptSchema.parse(JSON.parse(text));
    return { facts, threads };
  } catch {
    return { facts: [], threads: [] };
  }
}
