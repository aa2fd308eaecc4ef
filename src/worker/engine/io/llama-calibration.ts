import { cpus } from "node:os";
import type { Llama, LlamaModel } from "node-llama-cpp";
import { canonicalDigest } from "../../../core/canonical-digest.ts";
import type { StepsInUse, ThreadsInUse } from "../../../protocol/neuron-api.ts";
import type { Calibration } from "../../../protocol/worker-messages.ts";
import { stepsAtLoad, threadsAtLoad, threadsSince } from "../calibration.ts";
import { threadCandidates, type ThreadsInput } from "../compute-plan.ts";
import { contextsToTry, type ContextQuestion, type ContextSettings } from "../trial/context-choice.ts";
import { modelIdentity } from "./model-file.ts";

export interface CalibrationOptions {
  readonly llama: Llama;
  readonly model: LlamaModel;
  readonly modelPath: string;
  readonly threads: ThreadsInput;
  /** Of earlier workers; those of other models, engines and machines among them. */
  readonly calibrations: readonly Calibration[];
  readonly context: ContextQuestion;
  readonly onCalibrated: (calibrated: {
    threads: ThreadsInUse;
    steps: StepsInUse;
    calibration: Calibration;
  }) => void;
}

/** Numbers of threads to choose from, what is known of them, and what is in use. */
export interface ThreadCalibration {
  readonly candidates: readonly number[];
  readonly known: Calibration;
  readonly inUse: ThreadsInUse;
  /** What the context is to be made with, and what was found for the next one. */
  readonly settings: ContextSettings;
  readonly steps: StepsInUse;
  /** Contexts to try beside the loaded one; none where all is declared or remembered. */
  readonly toTry: readonly ContextSettings[];
  /** Choices of threads. */
  record(calibration: Calibration): void;
  found(settings: ContextSettings): void;
  /** The context is to be made as usual; false where it was to be already. */
  fallBack(): boolean;
}

export async function openCalibration(options: CalibrationOptions): Promise<ThreadCalibration> {
  const { threads, context, calibrations, onCalibrated } = options;
  const candidates = threadCandidates(threads);
  const open = contextsToTry(context);
  // Where nothing is tried nothing is looked up.
  const key = candidates.length === 1 && open.length === 0 ? "" : await calibrationKey(options);
  const remembered = calibrations.find((calibration) => calibration.key === key);
  let inUse = threadsAtLoad(threads.requested, candidates, remembered);
  let kept: Calibration = remembered ?? { key, prompts: null, answers: [] };
  let steps = stepsAtLoad(context, remembered?.context ?? undefined);
  const tell = (): void => onCalibrated({ threads: inUse, steps, calibration: kept });
  return {
    candidates,
    known: kept,
    toTry: remembered?.context === undefined || remembered.context === null ? open : [],
    get settings() {
      return { batchTokens: steps.batch_size.tokens, flashAttention: steps.flash_attention.on };
    },
    get steps() {
      return steps;
    },
    get inUse() {
      return inUse;
    },
    record({ prompts, answers }) {
      kept = { ...kept, prompts, answers };
      inUse = threadsSince(kept);
      tell();
    },
    found({ batchTokens, flashAttention }) {
      const found = { batch_size: batchTokens, flash_attention: flashAttention };
      kept = { ...kept, context: found };
      steps = { ...steps, found };
      tell();
    },
    fallBack() {
      const wasUsual = [steps.batch_size, steps.flash_attention].every(
        ({ source }) => source !== "remembered",
      );
      steps = stepsAtLoad(context, undefined);
      return !wasUsual;
    },
  };
}

/** All that a choice of threads depends on but what else the machine does. */
const calibrationKey = async ({ llama, model, modelPath, threads }: CalibrationOptions): Promise<string> =>
  canonicalDigest([
    await modelIdentity(modelPath),
    llama.llamaCppRelease,
    llama.gpu,
    model.gpuLayers,
    cpus()[0]?.model ?? "",
    threads.mathCores,
  ]);
