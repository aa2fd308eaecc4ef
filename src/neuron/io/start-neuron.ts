import { rm } from "node:fs/promises";
import type { FastifyInstance } from "fastify";
import { isLoopback } from "../../core/addresses.ts";
import type { Clock } from "../../core/clock.ts";
import { CortexError } from "../../core/errors.ts";
import { readEnvironment, type ModelHubAddress } from "../../platform/environment.ts";
import { listen } from "../../platform/http-server.ts";
import type { Logger } from "../../platform/logger.ts";
import { externalWorkerEntryFile, packageVersion } from "../../platform/package-paths.ts";
import type { Device, Discovery } from "../../protocol/neuron-api.ts";
import type { Member } from "../../trust/io/member.ts";
import type { EventFeed } from "../events/io/event-feed.ts";
import { openAnswerTracing, type AnswerTracing } from "./answer-tracing.ts";
import { startDeviceWatch } from "./device-watch.ts";
import { lookForEngine } from "./engine-check.ts";
import { followResidency } from "./follow-residency.ts";
import {
  createSimulatedProbe,
  simulatedStore,
  simulateLoads,
  withStandIn,
  type SimulationConfig,
} from "./simulation.ts";
import { heldHereMib, ledgerOf } from "../residency/describe-residency.ts";
import type { Residency } from "../residency/residency-state.ts";
import type { GpuProbe, GpuProbeOptions } from "../machine/io/gpu-probe.ts";
import { createMachineProbe } from "../machine/io/machine-probe.ts";
import type { EngineVersions } from "../machine/engine-on-hand.ts";
import { describeMachine, describeVersion } from "../machine/io/machine-facts.ts";
import { readCpuPacking } from "../model/io/cpu-packing.ts";
import { createModelFiles } from "../model/io/model-files.ts";
import {
  openHibernationShelf,
  type HibernationConfig,
  type HibernationShelf,
} from "../launch/io/hibernation-shelf.ts";
import { withEngines } from "../launch/io/external-engines.ts";
import { extraGraceMs } from "../launch/io/worker-process.ts";
import { createWorkerLauncher, type WorkerLauncher } from "../launch/io/worker-launcher.ts";
import { openWorkerProcesses, type WorkerProcesses } from "../launch/io/worker-processes.ts";
import { Vocabularies } from "../launch/io/vocabularies.ts";
import { createNeuronMetrics } from "./neuron-metrics.ts";
import { createNeuronServer } from "./neuron-server.ts";
import { reportEffect } from "./report-effect.ts";
import { openSuspectFile, type SuspectFile } from "./suspect-file.ts";
import { ModelStore } from "../store/io/model-store.ts";
import type { DownloadLimits } from "../store/io/download-file.ts";
import type { CpuPacking } from "../model/weight-memory.ts";
import { AssignmentFile } from "../residency/io/assignment-file.ts";
import { Restoration } from "./restore-models.ts";
import { Estimator } from "../residency/io/estimator.ts";
import { openFactBook, type FactBook } from "../residency/io/fact-book.ts";
import { describeFacts } from "../residency/load-facts.ts";
import { LeaseRegister } from "../residency/io/lease-register.ts";
import { openEpochFile, type EpochFile } from "../residency/io/epoch-file.ts";
import { ResidencyLoop } from "../residency/io/residency-loop.ts";

export interface NeuronConfig {
  readonly host: string;
  /** 0 asks the system for a free port. */
  readonly port: number;
  /** Directories that model files may be in; the first is the user's own store. */
  readonly modelRoots: readonly string[];
  /** Shared secret (`readTokenFile`); required on any address but loopback. */
  readonly token?: string | undefined;
  /** The certificate of a machine that has joined a fleet: the neuron speaks TLS alone, and takes the fleet's certificates. */
  readonly member?: Member | undefined;
  /** Where the neuron keeps what must outlive it; without one it forgets. */
  readonly stateDirectory?: string | undefined;
  /** Conversations outlive their workers in files here; absent: they end with them. */
  readonly hibernation?: HibernationConfig | undefined;
  /** How long models stay loaded without a neuron, for the next one to take over; needs `stateDirectory`. */
  readonly orphanGraceMs?: number | undefined;
  /** Programs that may be run as external engines, by their paths; none by default. */
  readonly engines?: readonly string[] | undefined;
  /** Promises at most this much of each device; all of it by default. */
  readonly memoryLimitMib?: number | undefined;
  /** The engine that is needed and the one that is installed; what lies beside this package by default. */
  readonly engine?: EngineVersions | undefined;
  /** Stands for the machine's own devices. */
  readonly simulation?: SimulationConfig | undefined;
  /** False: models compute on the processor, whichever GPUs are there. */
  readonly usesGpu?: boolean | undefined;
  /** The driver's tool, when it is not in PATH. */
  readonly nvidiaSmi?: string | undefined;
  readonly gitSha?: string | undefined;
  /** Where `hf:` sources come from; what the environment says by default. */
  readonly hub?: ModelHubAddress | undefined;
  readonly downloads?: Partial<DownloadLimits> | undefined;
  /** Present where spans are sent: of requests that whoever sent them traces. */
  readonly tracing?: { readonly url?: string } | undefined;
}

export interface NeuronDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Path of the model worker's entry file; the shipped one by default. */
  readonly workerEntry?: string | undefined;
  /** Path of the program that asks the engine for GPUs; the shipped one, where a GPU is likely, by default. */
  readonly devicesEntry?: string | undefined;
  /** What workers inherit, credentials left out; this process's environment by default. */
  readonly environment?: Readonly<Record<string, string | undefined>> | undefined;
  /** Opened before the rest was read; from here on the neuron's own. */
  readonly processes?: WorkerProcesses | undefined;
}

export interface RunningNeuron {
  readonly address: { readonly host: string; readonly port: number };
  readonly discovery: Discovery;
  /** Drains briefly, ends every worker, stops listening. Safe to call twice; done within 8 s, or 17 s where engines are ended or conversations kept. */
  close(options?: { readonly drainTimeoutMs?: number }): Promise<void>;
  /** Stops listening and leaves every model to the neuron that comes next, which finds it as it was. */
  handOver(): Promise<void>;
}

const DEFAULT_ORPHAN_GRACE_MS = 120_000;
const DEFAULT_SHUTDOWN_DRAIN_MS = 2_000;
/** Beyond the drain: what a worker that ignores every request to go may cost. */
const WORKER_STOP_BOUND_MS = 4_500;
const LAST_BYTES_MS = 500;

/**
 * Starts a neuron: binds first, so that a taken port is told at once and a slow driver does not look like a dead
 * machine, then discovers the devices. Throws bind_needs_token, address_in_use or usage_error.
 */
export async function startNeuron(config: NeuronConfig, deps: NeuronDeps): Promise<RunningNeuron> {
  requireToken(config);
  const { clock, logger } = deps;
  const kept = await openKept(config, deps);
  const processes = deps.processes ?? (await openProcesses(config, { ...deps, ...kept }));
  const socketDirectory = processes.directory;
  const assignment = new AssignmentFile(config.stateDirectory, logger);
  const assembled = assemble(config, deps, { processes, assignment, ...kept });
  const { loop, probe, metrics, estimator, vocabularies, takeDevices } = assembled;
  const facts = () => describeFacts(kept.book.facts);
  const discovered = Promise.withResolvers<Discovery>();
  const startedMs = clock.monotonicMs();
  const restoration = new Restoration({ clock, logger, loop, hibernation: kept.hibernation });
  const told = { clock, loop, probe, startedMs, facts, restored: restoration.restored };
  const feed = followResidency({ ...told, discovery: discovered.promise });
  const server = createNeuronServer({
    ...told,
    logger,
    metrics,
    feed,
    estimator,
    ...kept,
    vocabularies,
    callers: config,
    version: describeVersion(config.gitSha),
    discovery: discovered.promise,
  });
  let port: number;
  try {
    port = await listen(server, config);
  } catch (thrown) {
    assembled.launcher.close();
    processes.discard();
    throw thrown;
  }
  const found = await describeMachine(await probe.discover(), { ...kept, modelRoots: config.modelRoots });
  const discovery = { ...found, devices: limitMemory(found.devices, config.memoryLimitMib) };
  takeDevices(discovery.devices);
  await restoration.adopt(await assignment.read());
  discovered.resolve(discovery);
  await restoration.loadOthers();
  assignment.follow(loop);
  let closing: Promise<void> | null = null;
  const kit = { ...kept, restoration, feed, assignment, server, clock, logger, socketDirectory };
  const parts = {
    watching: startDeviceWatch({ clock, logger, probe, loop }, found.devices),
    ...assembled,
    ...kit,
  };
  return {
    address: { host: config.host, port },
    discovery,
    close: (options) => {
      const drainTimeoutMs = options?.drainTimeoutMs ?? DEFAULT_SHUTDOWN_DRAIN_MS;
      closing ??= closeNeuron({ ...parts, drainTimeoutMs, workerStopMs: workerStopMs(kept, loop.state) });
      return closing;
    },
    handOver: () => (closing ??= handOverNeuron(parts)),
  };
}

const limitMemory = (devices: readonly Device[], limitMib = Infinity): Device[] =>
  devices.map((device) => ({ ...device, vram_total_mb: Math.min(device.vram_total_mb, limitMib) }));

interface Kept {
  /** The engine is not there. */
  readonly missing: CortexError | null;
  readonly epochs: EpochFile;
  readonly leases: LeaseRegister;
  readonly book: FactBook;
  readonly suspectFile: SuspectFile;
  readonly cpuPacking: CpuPacking;
  readonly hibernation: HibernationShelf | undefined;
  readonly tracing: AnswerTracing | null;
}

const openKept = async (config: NeuronConfig, deps: NeuronDeps): Promise<Kept> => ({
  tracing: await openAnswerTracing(config.tracing, { clock: deps.clock, packageVersion: packageVersion() }),
  missing: lookForEngine(config, deps.logger),
  epochs: await openEpochFile(config.stateDirectory),
  leases: await LeaseRegister.open(config.stateDirectory),
  book: await openFactBook(config.stateDirectory, deps.logger),
  suspectFile: await openSuspectFile(config.stateDirectory, deps),
  cpuPacking: await readCpuPacking(),
  hibernation:
    config.hibernation === undefined ? undefined : await openHibernationShelf(config.hibernation, deps),
});

/** As long as the slowest of its workers may take. */
const workerStopMs = ({ hibernation }: Kept, { models }: Residency): number =>
  WORKER_STOP_BOUND_MS +
  extraGraceMs({
    isExternal: [...models.values()].some(({ spec }) => spec.harness === "openai"),
    hibernates: hibernation !== undefined,
  });

const openStore = (config: NeuronConfig, clock: Clock): ModelStore =>
  new ModelStore(
    {
      root: config.modelRoots[0] ?? "models",
      hub: config.hub ?? readEnvironment().modelHub,
      limits: config.downloads,
    },
    { clock },
  );

const createProbe = (
  { nvidiaSmi, simulation, usesGpu = true }: NeuronConfig,
  deps: Pick<GpuProbeOptions, "clock" | "logger" | "environment"> & {
    readonly ours: (index: number) => number;
    readonly devicesEntry: string | undefined;
    readonly missing: CortexError | null;
  },
): GpuProbe => {
  if (simulation !== undefined) return createSimulatedProbe(simulation, deps);
  const engine = deps.missing === null ? { entry: deps.devicesEntry, environment: deps.environment } : null;
  return createMachineProbe({ ...deps, usesGpu, engine, ...(nvidiaSmi === undefined ? {} : { nvidiaSmi }) });
};

const orphanGraceMsOf = ({ stateDirectory, orphanGraceMs }: NeuronConfig): number =>
  stateDirectory === undefined ? 0 : (orphanGraceMs ?? DEFAULT_ORPHAN_GRACE_MS);

/** The parts below the HTTP server. Devices come later, when the driver has answered. */
function assemble(
  config: NeuronConfig,
  deps: NeuronDeps,
  kept: Kept & { readonly processes: WorkerProcesses; readonly assignment: AssignmentFile },
) {
  const { clock, logger } = deps;
  const environment = deps.environment ?? readEnvironment().inherited;
  const { simulation } = config;
  const { epochs, book, cpuPacking, hibernation, missing } = kept;
  const ours = (index: number): number => heldHereMib(loop.state, index);
  const { devicesEntry } = deps;
  const probe = createProbe(config, { clock, logger, environment, ours, devicesEntry, missing });
  let devices: readonly Device[] = [];
  const store = openStore(config, clock);
  const files = createModelFiles(config.modelRoots);
  const modelFiles =
    simulation === undefined
      ? withEngines(files, { engines: config.engines ?? [], missing })
      : withStandIn(files, simulation);
  const modelStore = simulation === undefined ? store : simulatedStore;
  const estimator = new Estimator({
    modelFiles,
    modelStore,
    book,
    cpuPacking,
    deviceKind: () => devices[0]?.kind ?? "cpu",
  });
  const launcher = createWorkerLauncher({
    clock,
    logger,
    processes: kept.processes.spare,
    // What is simulated answers from the processor, whoever would hold it.
    externalEntry: simulation === undefined ? externalWorkerEntryFile() : undefined,
    orphanGraceMs: orphanGraceMsOf(config),
    devices: () => devices,
    hibernation,
  });
  const { launch } = launcher;
  const loop: ResidencyLoop = new ResidencyLoop({
    clock,
    logger,
    modelFiles,
    estimator,
    book,
    modelStore,
    usedMib: () => probe.usedMib(),
    epochs,
    assignmentKept: () => kept.assignment.kept(),
    launchWorker: simulation === undefined ? launch : simulateLoads(launch, simulation, clock),
    report: (effect) => {
      reportEffect(effect, { loop, metrics, logger });
    },
  });
  const vocabularies = new Vocabularies({ clock, inspect: (spec) => estimator.inspect(spec), launch });
  const metrics = createNeuronMetrics(() => loop.state);
  const takeDevices = (found: readonly Device[]): void => {
    devices = found;
    loop.dispatch({ kind: "devices-discovered", devices: ledgerOf(found) });
  };
  return { loop, probe, metrics, store, estimator, launcher, vocabularies, takeDevices };
}

function requireToken({ host, token, member }: NeuronConfig): void {
  if (token !== undefined || member !== undefined || isLoopback(host)) return;
  throw new CortexError(
    "bind_needs_token",
    `${host} is not loopback: whoever reaches it could load and unload models`,
  );
}

const openProcesses = ({ simulation }: NeuronConfig, deps: NeuronDeps & Kept): Promise<WorkerProcesses> => {
  const keepsOne = simulation === undefined && deps.missing === null;
  return openWorkerProcesses({ keepsOne, entry: deps.workerEntry, environment: deps.environment });
};

interface NeuronParts {
  readonly tracing: AnswerTracing | null;
  readonly restoration: Restoration;
  readonly watching: { readonly close: () => void };
  readonly loop: ResidencyLoop;
  readonly launcher: WorkerLauncher;
  readonly vocabularies: Vocabularies;
  readonly feed: EventFeed;
  readonly book: FactBook;
  readonly suspectFile: SuspectFile;
  readonly assignment: AssignmentFile;
  readonly server: FastifyInstance;
  readonly store: ModelStore;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly socketDirectory: string;
}

async function handOverNeuron(neuron: NeuronParts): Promise<void> {
  neuron.restoration.close();
  neuron.launcher.close();
  neuron.vocabularies.close();
  await neuron.assignment.leave();
  neuron.loop.handOver();
  await closeParts(neuron);
}

async function closeNeuron(
  neuron: NeuronParts & { readonly drainTimeoutMs: number; readonly workerStopMs: number },
): Promise<void> {
  const { loop, launcher, vocabularies, clock, logger } = neuron;
  neuron.restoration.close();
  launcher.close();
  vocabularies.close();
  const bound = new AbortController();
  const giveUp = abortAfter(bound, { clock, timeoutMs: neuron.drainTimeoutMs + neuron.workerStopMs });
  await loop.shutDown(neuron.drainTimeoutMs, bound.signal).catch(() => {
    // A process that even SIGKILL does not end (a hung driver) must not hold the machine's supervisor.
    logger.error({ models: [...loop.state.models.keys()] }, "workers that did not end are left behind");
  });
  bound.abort();
  await giveUp;
  await closeParts(neuron);
  await rm(neuron.socketDirectory, { recursive: true, force: true });
}

/** Everything but the models. */
async function closeParts(neuron: NeuronParts): Promise<void> {
  const { server, clock } = neuron;
  neuron.watching.close();
  neuron.feed.close();
  await neuron.store.close();
  await neuron.book.flush();
  await neuron.suspectFile.flush();
  await neuron.assignment.leave();
  const closed = server.close();
  const lastBytes = new AbortController();
  await Promise.race([closed, clock.sleep(LAST_BYTES_MS, lastBytes.signal).catch(() => undefined)]);
  lastBytes.abort();
  server.server.closeAllConnections();
  await closed;
  await neuron.tracing?.close();
}

async function abortAfter(
  controller: AbortController,
  { clock, timeoutMs }: { readonly clock: Clock; readonly timeoutMs: number },
): Promise<void> {
  await clock.sleep(timeoutMs, controller.signal).catch(() => undefined);
  controller.abort();
}
