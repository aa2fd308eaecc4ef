import type { ReachableNeuron } from "../../../src/controller/observe/observed-fleet.ts";
import type { Health, LoadRequest, ResidentModel } from "../../../src/protocol/neuron-api.ts";

type Reading = Health["devices"][number];

/**
 * Counts memory as a neuron does and shares no code with the planner: what other processes held at the start they go
 * on holding, and a model on several devices takes from each in proportion to what is free there.
 */
export class MemoryLedger {
  readonly #readings: readonly Reading[];
  readonly #totals: ReadonlyMap<number, number>;
  readonly #foreign: ReadonlyMap<number, number>;

  constructor({ health, discovery, models }: ReachableNeuron) {
    this.#readings = health.devices;
    this.#totals = new Map(discovery.devices.map(({ index, vram_total_mb }) => [index, vram_total_mb]));
    this.#foreign = new Map(
      health.devices.map(({ index, vram_used_mb }) => [
        index,
        Math.max(0, vram_used_mb - heldOn(models, index)),
      ]),
    );
  }

  readings(models: readonly ResidentModel[]): Reading[] {
    return this.#readings.map((reading) => {
      const used = (this.#foreign.get(reading.index) ?? 0) + heldOn(models, reading.index);
      return {
        ...reading,
        vram_used_mb: used,
        vram_free_mb: Math.max(0, this.#totalOf(reading.index) - used),
      };
    });
  }

  /** What the model takes on each of its devices; undefined where it does not fit. */
  split({ devices = [0], vram_mb: needMb = 1 }: LoadRequest, models: readonly ResidentModel[]) {
    const free = devices.map((index) => this.#freeOn(index, models));
    const sum = free.reduce((total, mb) => total + mb, 0);
    if (sum < needMb || (devices.length > 1 && free.some((mb) => mb <= 0))) return undefined;
    let left = needMb;
    return free.map((mb) => {
      const share = Math.min(left, Math.ceil((needMb * mb) / Math.max(1, sum)));
      left -= share;
      return share;
    });
  }

  #freeOn(index: number, models: readonly ResidentModel[]): number {
    return Math.max(0, this.#totalOf(index) - (this.#foreign.get(index) ?? 0) - heldOn(models, index));
  }

  #totalOf(index: number): number {
    return this.#totals.get(index) ?? 0;
  }
}

const heldOn = (models: readonly ResidentModel[], index: number): number =>
  models.reduce((total, model) => total + shareOf(model, index), 0);

function shareOf(
  { devices, device_vram_mb: stated, vram_used_mb: usedMb }: ResidentModel,
  index: number,
): number {
  const position = devices.indexOf(index);
  if (position === -1) return 0;
  return stated?.[position] ?? Math.floor(usedMb / devices.length);
}
