import type { Clock } from "../../../core/clock.ts";
import type { DeviceReading } from "../describe-device.ts";
import { describeEngineDevices } from "../engine-devices.ts";
import { askEngine, type EngineQuestion } from "./ask-engine.ts";
import {
  cpuDevice,
  createGpuProbe,
  type DiscoveredDevices,
  type GpuProbe,
  type GpuProbeOptions,
} from "./gpu-probe.ts";

export interface MachineProbeOptions extends GpuProbeOptions {
  /** False: GPUs of all kinds are left to others. */
  readonly usesGpu: boolean;
  /** How the engine is asked for GPUs that NVIDIA's tool does not know; null: it is not there. */
  readonly engine: EngineQuestion | null;
}

/** A look is a process of the engine, which takes a second. */
const LOOK_MAX_AGE_MS = 30_000;

/** The devices of a machine: NVIDIA's by their driver, else those that the engine finds (Metal, Vulkan), else the processor. */
export function createMachineProbe(options: MachineProbeOptions): GpuProbe {
  const driver = createGpuProbe(options);
  let probe = driver;
  return {
    discover: async () => {
      if (!options.usesGpu) return onProcessor(null);
      const found = await driver.discover();
      if (options.engine === null || found.devices.some(({ kind }) => kind !== "cpu")) return found;
      const byEngine = await lookThroughEngine(options, options.engine);
      if (byEngine === null) return found;
      ({ probe } = byEngine);
      return { ...byEngine.found, cudaUnavailableReason: found.cudaUnavailableReason };
    },
    readings: () => probe.readings(),
    lost: () => probe.lost(),
    usedMib: () => probe.usedMib(),
  };
}

const onProcessor = (cudaUnavailableReason: string | null): DiscoveredDevices => ({
  devices: [cpuDevice()],
  driverVersion: null,
  cudaUnavailableReason,
});

/** Null where the engine finds none. */
async function lookThroughEngine(
  { clock, logger }: MachineProbeOptions,
  question: EngineQuestion,
): Promise<{ readonly found: DiscoveredDevices; readonly probe: GpuProbe } | null> {
  const look = async () => {
    const answer = await askEngine(question);
    if (!answer.ok) logger.warn({ reason: answer.error }, "the engine does not say which GPUs it finds");
    return answer.ok && answer.value !== null ? describeEngineDevices(answer.value) : null;
  };
  const first = await look();
  if (first === null) return null;
  const readings = new EngineReadings(first.reading, { clock, look: async () => (await look())?.reading });
  return {
    found: { devices: [first.device], driverVersion: null, cudaUnavailableReason: null },
    probe: {
      discover: () => Promise.resolve({ ...onProcessor(null), devices: [first.device] }),
      readings: () => Promise.resolve(readings.latest()),
      lost: () => new Set(),
      usedMib: async () => new Map((await readings.fresh()).map(({ index, usedMib }) => [index, usedMib])),
    },
  };
}

/** The last good reading; nobody who asks for it waits for the next one. */
class EngineReadings {
  readonly #clock: Clock;
  readonly #look: () => Promise<DeviceReading | undefined>;
  #latest: DeviceReading;
  #lookedAtMs: number;
  #looking: Promise<void> | null = null;

  constructor(
    first: DeviceReading,
    how: { readonly clock: Clock; readonly look: () => Promise<DeviceReading | undefined> },
  ) {
    this.#latest = first;
    this.#clock = how.clock;
    this.#look = how.look;
    this.#lookedAtMs = how.clock.monotonicMs();
  }

  latest(): readonly DeviceReading[] {
    if (this.#clock.monotonicMs() - this.#lookedAtMs > LOOK_MAX_AGE_MS) void this.fresh();
    return [this.#latest];
  }

  async fresh(): Promise<readonly DeviceReading[]> {
    this.#looking ??= this.#refresh();
    await this.#looking;
    return [this.#latest];
  }

  async #refresh(): Promise<void> {
    try {
      this.#latest = (await this.#look()) ?? this.#latest;
    } finally {
      this.#lookedAtMs = this.#clock.monotonicMs();
      this.#looking = null;
    }
  }
}
