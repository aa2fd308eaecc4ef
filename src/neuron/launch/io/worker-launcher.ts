import { rm } from "node:fs/promises";
import type { Clock } from "../../../core/clock.ts";
import { sleptThrough } from "../../../core/interruptible-sleep.ts";
import { MIB_BYTES } from "../../../core/quantities.ts";
import { scriptedWorkerEntryFile } from "../../../platform/package-paths.ts";
import type { Logger } from "../../../platform/logger.ts";
import type { Device, ModelSpec } from "../../../protocol/neuron-api.ts";
import { specHash } from "../../../protocol/spec-hash.ts";
import type { ExternalEngine, WorkerStart } from "../../../protocol/worker-messages.ts";
import type { ModelWorker, WorkerAddress, WorkerLaunch } from "../../residency/io/model-worker.ts";
import type { HibernationShelf } from "./hibernation-shelf.ts";
import { signalGroup } from "./insist.ts";
import type { SpareProcess } from "./spare-process.ts";
import { watchWorker } from "./watchdog.ts";
import { openWorkerLine, type WorkerLine } from "./worker-line.ts";
import { startWorkerProcess, type WorkerProcess } from "./worker-process.ts";

const NEXT_SPARE_MS = 2_000;

export interface WorkerLauncherOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly processes: SpareProcess;
  /** The worker for models that external engines hold; undefined where all are held by the one that is built in. */
  readonly externalEntry: string | undefined;
  /** How long workers live on without a neuron; 0: not at all. */
  readonly orphanGraceMs: number;
  /** Asked at each launch: devices are discovered after the server is bound. */
  readonly devices: () => readonly Device[];
  /** Where conversations outlive their worker; undefined where they do not. */
  readonly hibernation: HibernationShelf | undefined;
}

export interface WorkerLauncher {
  readonly launch: (launch: WorkerLaunch) => ModelWorker;
  /** Ends what was kept ready; workers are none of it. */
  close(): void;
}

export function createWorkerLauncher(options: WorkerLauncherOptions): WorkerLauncher {
  const { processes } = options;
  const closed = new AbortController();
  // Not at once, so that it takes no time from a load and the requests that wait for it.
  const prepareNext = async (): Promise<void> => {
    if (await sleptThrough(options.clock, NEXT_SPARE_MS, closed.signal)) processes.prepare();
  };
  const start = (launch: WorkerLaunch): ModelWorker => {
    const external = options.externalEntry === undefined ? undefined : externalEngineOf(launch);
    const program = otherProgram(launch, { external, options });
    const blank = program === undefined ? processes.take() : processes.start(program);
    const { socketPath, logPath } = blank;
    const { clock } = options;
    const logger = options.logger.child({ model: launch.spec.model_id });
    const ended = new AbortController();
    const worker = startWorkerProcess({
      clock,
      logger,
      blank,
      start: startMessage(launch, { socketPath, options, external }),
      onMessage: (message) => {
        if (message.kind === "model-loaded") {
          void prepareNext();
          void watchWorker(model, { clock, logger, ended: ended.signal });
        }
        launch.onMessage(message);
      },
    });
    const line = openWorkerLine(socketPath, clock);
    void cleanUpAfter(worker, { line, ended, address: { socketPath, logPath } }).then(() => {
      void prepareNext();
      return options.hibernation?.collect();
    });
    const model = asModel(worker, { line, ended, address: { socketPath, logPath } });
    return model;
  };
  const close = (): void => {
    closed.abort();
    processes.close();
  };
  return { launch: start, close };
}

const engineSettings = ({
  threads,
  kv_cache_type,
  flash_attention,
  swa_full,
  batch_size,
  prompt_lookup,
}: ModelSpec) => ({
  ...(threads === undefined ? {} : { threads }),
  ...(kv_cache_type === undefined ? {} : { kv_cache_type }),
  ...(flash_attention === undefined ? {} : { flash_attention }),
  ...(swa_full === undefined ? {} : { swa_full }),
  ...(batch_size === undefined ? {} : { batch_size }),
  ...(prompt_lookup === undefined ? {} : { prompt_lookup }),
});

const companionPaths = ({ companions }: WorkerLaunch["file"]) => ({
  ...(companions === undefined || companions.lora.length === 0 ? {} : { lora: [...companions.lora] }),
  ...(companions === undefined || companions.draftPath === null ? {} : { draft_path: companions.draftPath }),
});

/** What there is of a worker beside its process. */
interface Left {
  readonly line: WorkerLine;
  readonly ended: AbortController;
  readonly address: WorkerAddress;
}

const asModel = (worker: WorkerProcess, { line, ended, address }: Left): ModelWorker => ({
  pid: worker.pid,
  exited: worker.exited,
  get stopRequested() {
    return worker.stopRequested;
  },
  http: line.http,
  wire: line.wire,
  address,
  stop: () => worker.stop(),
  kill: () => signalGroup(worker.pid ?? undefined, "SIGKILL"),
  release: () => {
    ended.abort();
    worker.release();
    void line.close();
  },
});

/** The program of a worker without the built-in engine; undefined for all others. */
function otherProgram(
  { script }: WorkerLaunch,
  told: { readonly external: ExternalEngine | undefined; readonly options: WorkerLauncherOptions },
): string | undefined {
  if (script !== undefined) return scriptedWorkerEntryFile();
  return told.external === undefined ? undefined : told.options.externalEntry;
}

/** All that the worker is told. */
function startMessage(
  launch: WorkerLaunch,
  {
    socketPath,
    options,
    external,
  }: {
    readonly socketPath: string;
    readonly options: WorkerLauncherOptions;
    readonly external: ExternalEngine | undefined;
  },
): WorkerStart {
  const devices = options.devices().filter((device) => launch.devices.includes(device.index));
  const { spec } = launch;
  const { contextTokens } = launch.file;
  return {
    kind: "start-worker",
    socket_path: socketPath,
    model_path: launch.file.path,
    model_id: spec.model_id,
    ...(contextTokens === null ? {} : { context: contextTokens }),
    parallel: spec.parallel,
    ...engineSettings(spec),
    ...companionPaths(launch.file),
    calibrations: [...launch.calibrations],
    instance: launch.instance,
    spec_hash: specHash(spec),
    ...(launch.vocabularyOnly === true
      ? { vocabulary_only: true }
      : { orphan_grace_ms: options.orphanGraceMs }),
    device_environment: visibleDevices(devices),
    gpu: devices.some(({ kind }) => kind !== "cpu" && kind !== "simulated"),
    ...(external === undefined && options.hibernation !== undefined && launch.vocabularyOnly !== true
      ? { hibernation: options.hibernation.forWorkers }
      : {}),
    ...(external === undefined ? {} : { external }),
    ...(launch.script === undefined ? {} : { script: launch.script }),
  };
}

/** What the worker of an external engine is to attach to or to run; the program is the one that was allowed. */
function externalEngineOf({ spec, file }: WorkerLaunch): ExternalEngine | undefined {
  if (spec.harness !== "openai") return undefined;
  const { endpoint, command, served_as, token_file, health_path, start_timeout_secs, vram_mb } = spec;
  const { capabilities } = spec;
  return {
    capabilities,
    endpoint,
    ...(command === undefined ? {} : { command: [file.path, ...command.slice(1)] }),
    served_as,
    token_file,
    health_path,
    start_timeout_ms: start_timeout_secs === undefined ? undefined : start_timeout_secs * 1000,
    vram_bytes: vram_mb === undefined ? undefined : vram_mb * MIB_BYTES,
  };
}

async function cleanUpAfter(worker: WorkerProcess, { line, ended, address }: Left): Promise<void> {
  await worker.exited;
  ended.abort();
  await line.close();
  await removeTraces(address);
}

/** What a worker leaves on the disk. Its last words were read by then. */
export async function removeTraces({ socketPath, logPath }: WorkerAddress): Promise<void> {
  await rm(socketPath, { force: true });
  await rm(logPath, { force: true });
}

/** The engine has no option for devices; the driver hides all others from a process by this variable. */
function visibleDevices(devices: readonly Device[]): Readonly<Record<string, string>> {
  const cuda = devices.filter((device) => device.kind === "cuda");
  const named = cuda.every(({ uuid }) => /^(?:GPU|MIG)-/.test(uuid));
  return {
    CUDA_DEVICE_ORDER: "PCI_BUS_ID",
    CUDA_VISIBLE_DEVICES: cuda.map((device) => (named ? device.uuid : String(device.index))).join(","),
  };
}
