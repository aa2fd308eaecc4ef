import { cpus } from "node:os";
import type { Llama, LlamaModel } from "node-llama-cpp";
import { canonicalDigest } from "../../../core/canonical-digest.ts";
import type { ThreadsInUse } from "../../../protocol/neuron-api.ts";
import type { Calibration } from "../../../protocol/worker-messages.ts";
import { threadsAtLoad, threadsSince } from "../calibration.ts";
import { threadCandidates, type ThreadsInput } from "../compute-plan.ts";
import { modelIdentity } from "./model-identity.ts";

export interface CalibrationOptions {
  readonly llama: Llama;
  readonly model: LlamaModel;
  readonly modelPath: string;
  readonly threads: ThreadsInput;
  /** Of earlier workers; those of other models, engines and machines among them. */
  readonly calibrations: readonly Calibration[];
  readonly onCalibrated: (calibrated: { threads: ThreadsInUse; calibration: Calibration }) => void;
}

/** Numbers of threads to choose from, what is known of them, and what is in use. */
export interface ThreadCalibration {
  readonly candidates: readonly number[];
  readonly known: Calibration;
  readonly inUse: ThreadsInUse;
  record(calibration: Calibration): void;
}

export async function openCalibration(options: CalibrationOptions): Promise<ThreadCalibration> {
  const { threads, calibrations, onCalibrated } = options;
  const candidates = threadCandidates(threads);
  // Where nothing is tried nothing is looked up.
  const key = candidates.length === 1 ? "" : await calibrationKey(options);
  const remembered = calibrations.find((calibration) => calibration.key === key);
  let inUse = threadsAtLoad(threads.requested, candidates, remembered);
  return {
    candidates,
    known: remembered ?? { key, prompts: null, answers: [] },
    get inUse() {
      return inUse;
    },
    record(calibration) {
      inUse = threadsSince(calibration);
      onCalibrated({ threads: inUse, calibration });
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
