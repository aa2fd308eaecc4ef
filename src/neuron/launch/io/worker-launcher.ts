import { rm } from "node:fs/promises";
import { join } from "node:path";
import { Pool, type Dispatcher } from "undici";
import type { Clock } from "../../../core/clock.ts";
import type { Logger } from "../../../platform/logger.ts";
import type { Device } from "../../../protocol/neuron-api.ts";
import type { ModelWorker, WorkerLaunch } from "../../residency/io/model-worker.ts";
import type { HibernationShelf } from "./hibernation-shelf.ts";
import { startWorkerProcess, type WorkerProcess } from "./worker-process.ts";

export interface WorkerLauncherOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly entry: string;
  /** Private directory for the sockets. */
  readonly socketDirectory: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Asked at each launch: devices are discovered after the server is bound. */
  readonly devices: () => readonly Device[];
  /** Where conversations outlive their worker; undefined where they do not. */
  readonly hibernation: HibernationShelf | undefined;
}

export function createWorkerLauncher(options: WorkerLauncherOptions): (launch: WorkerLaunch) => ModelWorker {
  let launched = 0;
  return (launch) => {
    launched += 1;
    const socketPath = join(options.socketDirectory, `${launched}.sock`);
    const devices = options.devices().filter((device) => launch.devices.includes(device.index));
    const { spec } = launch;
    const { contextTokens } = launch.file;
    const worker = startWorkerProcess({
      clock: options.clock,
      logger: options.logger.child({ model: spec.model_id }),
      entry: options.entry,
      start: {
        kind: "start-worker",
        socket_path: socketPath,
        model_path: launch.file.path,
        model_id: spec.model_id,
        ...(contextTokens === null ? {} : { context: contextTokens }),
        parallel: spec.parallel,
        gpu: devices.some((device) => device.kind !== "cpu"),
        ...(options.hibernation === undefined ? {} : { hibernation: options.hibernation.forWorkers }),
      },
      environment: { ...options.environment, ...visibleDevices(devices) },
      onMessage: launch.onMessage,
    });
    const http = new Pool("http://worker", { socketPath, headersTimeout: 0, bodyTimeout: 0 });
    void cleanUpAfter(worker, http, socketPath).then(() => options.hibernation?.collect());
    return {
      pid: worker.pid,
      exited: worker.exited,
      get stopRequested() {
        return worker.stopRequested;
      },
      http,
      stop: () => worker.stop(),
    };
  };
}

async function cleanUpAfter(worker: WorkerProcess, http: Dispatcher, socketPath: string): Promise<void> {
  await worker.exited;
  await http.destroy();
  await rm(socketPath, { force: true });
}

/** The engine has no option for devices; the driver hides all others from a process by this variable. */
function visibleDevices(devices: readonly Device[]): Readonly<Record<string, string>> {
  const cuda = devices.filter((device) => device.kind === "cuda");
  const named = cuda.every((device) => device.uuid.startsWith("GPU-"));
  return {
    CUDA_DEVICE_ORDER: "PCI_BUS_ID",
    CUDA_VISIBLE_DEVICES: cuda.map((device) => (named ? device.uuid : String(device.index))).join(","),
  };
}
