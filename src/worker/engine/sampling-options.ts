import { isRecord } from "../../core/json.ts";

/**
 * Where each sampling value comes from: the request, else the model file's `general.sampling.*`, else the
 * constants below (the values that llama.cpp's users are used to). Nothing else has a say.
 */
export interface SamplingOptions {
  /** 0 takes the likeliest token always. */
  readonly temperature: number;
  readonly topP: number;
  /** 0 means no limit. */
  readonly topK: number;
  readonly minP: number;
  readonly seed: number;
  /** Over the tokens generated so far, the last `penaltyWindow` of them; 1, 0 and 0 are off. */
  readonly repetitionPenalty: number;
  readonly frequencyPenalty: number;
  readonly presencePenalty: number;
  readonly penaltyWindow: number;
  /** Token id to logit bias. */
  readonly logitBias: ReadonlyMap<number, number>;
}

export const SAMPLING_CONSTANTS = {
  temperature: 0.8,
  topP: 0.95,
  topK: 40,
  minP: 0.05,
  repetitionPenalty: 1,
  penaltyWindow: 256,
} as const;

export interface SamplingRequest {
  readonly temperature?: number | undefined;
  readonly top_p?: number | undefined;
  readonly top_k?: number | undefined;
  readonly min_p?: number | undefined;
  readonly seed?: number | undefined;
  readonly presence_penalty?: number | undefined;
  readonly frequency_penalty?: number | undefined;
  readonly repetition_penalty?: number | undefined;
  readonly repeat_penalty?: number | undefined;
  readonly logit_bias?: Readonly<Record<string, number>> | undefined;
}

export interface FileSampling {
  readonly temperature?: number;
  readonly topP?: number;
  readonly topK?: number;
  readonly minP?: number;
  readonly repetitionPenalty?: number;
  readonly penaltyWindow?: number;
}

const FILE_FIELDS: ReadonlyMap<string, keyof FileSampling> = new Map([
  ["temp", "temperature"],
  ["top_p", "topP"],
  ["top_k", "topK"],
  ["min_p", "minP"],
  ["penalty_repeat", "repetitionPenalty"],
  ["penalty_last_n", "penaltyWindow"],
]);

/** Reads `general.sampling` as a GGUF parser nests it; what is no finite number is left to the constants. */
export function readFileSampling(section: unknown): FileSampling {
  if (!isRecord(section)) return {};
  const known = Object.entries(section).flatMap(([name, value]): [keyof FileSampling, number][] => {
    const field = FILE_FIELDS.get(name);
    return field !== undefined && typeof value === "number" && Number.isFinite(value) ? [[field, value]] : [];
  });
  return Object.fromEntries(known);
}

/** llama.cpp reads the largest 32-bit value as "any seed", so it is left out. */
export const SEED_RANGE = 0xffff_ffff;

/** `randomSeed` is used when the request asks for none (or for a negative one, as llama.cpp's clients do). */
export function resolveSampling(
  request: SamplingRequest,
  file: FileSampling,
  randomSeed: number,
): SamplingOptions {
  const defaults = { ...SAMPLING_CONSTANTS, ...file };
  const asked = request.repetition_penalty ?? request.repeat_penalty;
  return {
    temperature: request.temperature ?? defaults.temperature,
    topP: request.top_p ?? defaults.topP,
    topK: Math.max(0, request.top_k ?? defaults.topK),
    minP: request.min_p ?? defaults.minP,
    seed: resolveSeed(request.seed, randomSeed),
    repetitionPenalty: asked ?? defaults.repetitionPenalty,
    frequencyPenalty: request.frequency_penalty ?? 0,
    presencePenalty: request.presence_penalty ?? 0,
    penaltyWindow: penaltyWindow(file.penaltyWindow),
    logitBias: new Map(Object.entries(request.logit_bias ?? {}).map(([id, bias]) => [Number(id), bias])),
  };
}

const resolveSeed = (asked: number | undefined, random: number): number =>
  (asked === undefined || asked < 0 ? random : asked) % SEED_RANGE;

/** In the file -1 means "all of the context"; the largest window kept here is bounded all the same. */
function penaltyWindow(fromFile: number | undefined): number {
  if (fromFile === undefined || fromFile < 0) return SAMPLING_CONSTANTS.penaltyWindow;
  return Math.min(Math.floor(fromFile), 4096);
}
