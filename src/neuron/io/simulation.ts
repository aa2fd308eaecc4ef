import type { Clock } from "../../core/clock.ts";
import { CortexError, toCortexError } from "../../core/errors.ts";
import { MIB_BYTES } from "../../core/quantities.ts";
import type { Device, ModelSpec } from "../../protocol/neuron-api.ts";
import type { WorkerFacts } from "../../protocol/worker-messages.ts";
import { foreignMib, lostDevices, scriptFor, type FaultScript } from "../machine/fault-script.ts";
import { cpuDevice, type GpuProbe } from "../machine/io/gpu-probe.ts";
import type { ModelFileFacts, ModelFiles } from "../model/io/model-files.ts";
import type { ModelWorker, WorkerLaunch } from "../residency/io/model-worker.ts";
import type { ModelStore } from "../store/io/model-store.ts";

/**
 * Devices that are not there. The ledger and every refusal are the real ones, and a real engine answers, on the
 * processor; a model whose file is not here is answered for by a stand-in. What a model holds is what it is expected to
 * hold on a GPU, and a load takes the time that its size would.
 */
export interface SimulationConfig {
  readonly devices: readonly Device[];
  /** In the model roots: what answers for models that are not here. */
  readonly standIn: string;
  readonly mibPerSec?: number;
  /** What goes wrong, and what models say. */
  readonly script?: FaultScript | undefined;
}

/** A solid-state disk of today. */
const DEFAULT_MIB_PER_SEC = 3000;
/** What the stand-in was trained for is enough to show that something answers. */
const STAND_IN_CONTEXT_TOKENS = 1024;
const PROGRESS_STEPS = 10;

/** Where there is no driver the ledger says what is used, and the script what others use beside. */
export function createSimulatedProbe(
  { devices, script }: SimulationConfig,
  { clock, ours }: { readonly clock: Clock; readonly ours: (index: number) => number },
): GpuProbe {
  const startedMs = clock.monotonicMs();
  const afterSecs = (): number => (clock.monotonicMs() - startedMs) / 1000;
  const lost = (): ReadonlySet<number> => lostDevices(script, afterSecs());
  const used = (): Map<number, number> => {
    const foreign = foreignMib(script, afterSecs());
    const gone = lost();
    // Without a script nothing but the ledger is asked.
    const known = script?.foreign_memory.length ? devices.filter(({ index }) => !gone.has(index)) : [];
    return new Map(
      known.map(({ index, vram_total_mb: total }) => [
        index,
        Math.min(total, ours(index) + (foreign.get(index) ?? 0)),
      ]),
    );
  };
  const cudaUnavailableReason = script?.driver_mismatch ?? null;
  return {
    discover: () =>
      Promise.resolve({
        devices: cudaUnavailableReason === null ? devices : [cpuDevice()],
        driverVersion: cudaUnavailableReason === null ? "simulated" : null,
        cudaUnavailableReason,
      }),
    readings: () =>
      Promise.resolve(
        [...used()].map(([index, usedMib]) => ({
          index,
          usedMib,
          freeMib: (devices.find((device) => device.index === index)?.vram_total_mb ?? usedMib) - usedMib,
          utilizationPct: null,
          temperatureC: null,
        })),
      ),
    lost,
    usedMib: () => Promise.resolve(used()),
  };
}

/** Nothing is fetched for models that are only simulated. */
export const simulatedStore: Pick<ModelStore, "fetch" | "stored" | "inspectRemote"> = {
  fetch: () => Promise.resolve(null),
  inspectRemote: () => Promise.resolve(null),
  stored: () => Promise.resolve(null),
};

/** The files that are here, and the stand-in for all that are not; such a model must declare how large it is. */
export function withStandIn(files: ModelFiles, { standIn }: SimulationConfig): ModelFiles {
  const instead = async (spec: ModelSpec, thrown: unknown): Promise<ModelFileFacts> => {
    const failure = toCortexError(thrown);
    if (failure.code !== "source_not_found" && failure.code !== "source_unsupported") throw thrown;
    if (spec.vram_mb === undefined) {
      throw new CortexError(failure.code, `${failure.message}; a simulated neuron needs its size at least`, {
        next: "declare vram_mb for the model: the stand-in then answers for it",
        details: failure.details,
        cause: failure,
      });
    }
    const { path } = await files.inspect({ ...spec, source: standIn });
    return { path, fileBytes: spec.vram_mb * MIB_BYTES, shape: null };
  };
  return {
    inspect: (spec) => files.inspect(spec).catch((thrown: unknown) => instead(spec, thrown)),
    verify: (spec, signal) => files.verify(spec, signal).catch((thrown: unknown) => instead(spec, thrown)),
  };
}

type Launch = (launch: WorkerLaunch) => ModelWorker;

/** Workers on the processor that take as long and hold as much as on the devices that are simulated. */
export function simulateLoads(
  launch: Launch,
  { standIn, mibPerSec, script: faults }: SimulationConfig,
  clock: Clock,
): Launch {
  return (wanted) => {
    const { file, spec, onMessage } = wanted;
    const isItself = (spec.source ?? spec.model_id) === standIn;
    const isStandIn = !isItself && file.path.endsWith(`/${standIn}.gguf`);
    const script = scriptFor(faults, spec.model_id);
    const sizeMs = (file.requiredMib / (mibPerSec ?? DEFAULT_MIB_PER_SEC)) * 1000;
    const durationMs = script?.load_secs === undefined ? sizeMs : script.load_secs * 1000;
    const startedMs = clock.monotonicMs();
    const ended = new AbortController();
    const worker = launch({
      ...wanted,
      file: isStandIn && script === undefined ? { ...file, contextTokens: STAND_IN_CONTEXT_TOKENS } : file,
      script,
      onMessage: (message) => {
        if (message.kind === "load-progressed") return;
        if (message.kind !== "model-loaded") onMessage(message);
        else void tellWhenDue(factsOf(message.facts));
      },
    });
    const factsOf = (facts: WorkerFacts): WorkerFacts => ({
      ...facts,
      memory_bytes: file.requiredMib * MIB_BYTES,
      context_tokens: isStandIn ? (file.contextTokens ?? facts.context_tokens) : facts.context_tokens,
    });
    const tellWhenDue = async (facts: WorkerFacts): Promise<void> => {
      for (let step = 1; step <= PROGRESS_STEPS; step += 1) {
        const dueMs = startedMs + (durationMs * step) / PROGRESS_STEPS;
        const waitMs = Math.max(0, dueMs - clock.monotonicMs());
        if (waitMs > 0) await clock.sleep(waitMs, ended.signal).catch(() => undefined);
        if (ended.signal.aborted) return;
        onMessage({ kind: "load-progressed", fraction: step / PROGRESS_STEPS });
      }
      if (script?.load_fails === undefined) onMessage({ kind: "model-loaded", facts });
      else onMessage({ kind: "load-failed", code: "load_failed", message: script.load_fails });
    };
    void worker.exited.then(() => ended.abort());
    return worker;
  };
}
