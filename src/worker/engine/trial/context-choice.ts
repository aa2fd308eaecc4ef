/** What a context is made with, and cannot be changed without making it anew. */
export interface ContextSettings {
  /** Tokens of prompts that a step computes at most. */
  readonly batchTokens: number;
  /** Null leaves it to the engine. */
  readonly flashAttention: boolean | null;
}

/** What an operator or the model's cache leaves open. */
export interface ContextQuestion {
  readonly onGpu: boolean;
  readonly contextTokens: number;
  readonly declaredBatch: number | undefined;
  readonly declaredFlash: boolean | undefined;
  /** A cache of quantized values takes flash attention. */
  readonly quantizedCache: boolean;
}

export interface TriedContext {
  readonly settings: ContextSettings;
  /** Milliseconds of a prompt and an answer, each round. */
  readonly costsMs: readonly number[];
}

/** The engine's own; larger ones take larger buffers. */
const USUAL_BATCH_TOKENS = 512;
const BATCHES = { gpu: [1024, 2048], cpu: [256, 128] };
/** Another one must be better by this: less is within what a machine differs from itself. */
const WORTHWHILE_GAIN = 0.93;

export const usualContext = ({
  contextTokens,
  declaredBatch,
  declaredFlash,
}: ContextQuestion): ContextSettings => ({
  batchTokens: Math.min(declaredBatch ?? USUAL_BATCH_TOKENS, contextTokens),
  flashAttention: declaredFlash ?? null,
});

/** The usual one first, then each that differs from it in one setting; none where nothing is open. */
export function contextsToTry(question: ContextQuestion): readonly ContextSettings[] {
  const usual = usualContext(question);
  const { onGpu, contextTokens, declaredBatch, declaredFlash, quantizedCache } = question;
  const batches = declaredBatch === undefined ? BATCHES[onGpu ? "gpu" : "cpu"] : [];
  const others = [
    ...(declaredFlash === undefined && !quantizedCache ? [{ ...usual, flashAttention: false }] : []),
    ...batches
      .filter((batchTokens) => batchTokens <= contextTokens && batchTokens !== usual.batchTokens)
      .map((batchTokens) => ({ ...usual, batchTokens })),
  ];
  return others.length === 0 ? [] : [usual, ...others];
}

/** Of each setting the value that cost least, where it is better than the usual one beyond doubt. */
export function chooseContext(tried: readonly TriedContext[]): ContextSettings | undefined {
  const [usual, ...others] = tried;
  if (usual === undefined) return undefined;
  const cost = ({ costsMs }: TriedContext): number => Math.min(...costsMs);
  const bestOf = (candidates: readonly TriedContext[]): ContextSettings => {
    const worthIt = candidates.filter((candidate) => cost(candidate) < cost(usual) * WORTHWHILE_GAIN);
    return (worthIt.toSorted((a, b) => cost(a) - cost(b))[0] ?? usual).settings;
  };
  const { batchTokens, flashAttention } = usual.settings;
  return {
    batchTokens: bestOf(others.filter(({ settings }) => settings.flashAttention === flashAttention))
      .batchTokens,
    flashAttention: bestOf(others.filter(({ settings }) => settings.batchTokens === batchTokens))
      .flashAttention,
  };
}
