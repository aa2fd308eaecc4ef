import { rmSync } from "node:fs";
import { mkdtemp, readdir } from "node:fs/promises";
import { platform, tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import { MIB_BYTES } from "../../../core/quantities.ts";
import { readEnvironment } from "../../../platform/environment.ts";
import { workerEntryFile } from "../../../platform/package-paths.ts";
import { SpareProcess } from "./spare-process.ts";

/** A spare worker takes some 90 MiB, which is nothing from here on. */
const SPARE_FROM_BYTES = 8 * 1024 * MIB_BYTES;
/** Unix socket paths end at 108 bytes on Linux and 104 elsewhere. */
const MAX_SOCKET_DIRECTORY_LENGTH = 80;

/** What the drivers of NVIDIA (in WSL too), AMD and all others put into /dev. */
const GPU_SIGNS = /^(?:nvidia|dxg$|kfd$|dri$)/;

export interface WorkerProcesses {
  /** Private to this user, for sockets and logs. */
  readonly directory: string;
  readonly spare: SpareProcess;
  /** Ends what was kept ready, and removes the directory: for a neuron that did not come up. */
  discard(): void;
}

export interface WorkerProcessesOptions {
  /** One is kept ready where the machine has memory to spare; false: every worker is started when it is wanted. */
  readonly keepsOne: boolean;
  /** Path of the model worker's entry file; the shipped one by default. */
  readonly entry?: string | undefined;
  /** What workers inherit, credentials left out; this process's environment by default. */
  readonly environment?: Readonly<Record<string, string | undefined>> | undefined;
}

/**
 * The processes of workers, the first of them on its way: it needs nothing of the neuron, and imports little, so that it can be
 * started before the rest of the neuron's program is read.
 */
export async function openWorkerProcesses(options: WorkerProcessesOptions): Promise<WorkerProcesses> {
  const directory = await makeSocketDirectory();
  const spare = new SpareProcess({
    entry: options.entry ?? workerEntryFile(),
    directory,
    environment: options.environment ?? readEnvironment().inherited,
    keepsOne: options.keepsOne && totalmem() >= SPARE_FROM_BYTES,
    onCpuOnly: !(await mayHaveGpu()),
  });
  spare.prepare();
  const discard = (): void => {
    spare.close();
    rmSync(directory, { recursive: true, force: true });
  };
  return { directory, spare, discard };
}

/** As its driver shows it on Linux; to ask a driver takes longer than a worker's start. */
async function mayHaveGpu(): Promise<boolean> {
  if (platform() !== "linux") return true;
  const names = await readdir("/dev").catch(() => []);
  return names.some((name) => GPU_SIGNS.test(name));
}

/** Private to this user (0700), with a path short enough for a socket below it. */
async function makeSocketDirectory(): Promise<string> {
  const parent = tmpdir().length > MAX_SOCKET_DIRECTORY_LENGTH ? "/tmp" : tmpdir();
  return mkdtemp(join(parent, "cortex-neuron-"));
}
