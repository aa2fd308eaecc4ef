import type { Clock } from "../../core/clock.ts";
import { sleptThrough } from "../../core/interruptible-sleep.ts";
import type { Logger } from "../../platform/logger.ts";
import type { Device } from "../../protocol/neuron-api.ts";
import type { GpuProbe } from "../machine/io/gpu-probe.ts";
import type { ResidencyLoop } from "../residency/io/residency-loop.ts";

const LOOK_EVERY_MS = 2_000;

interface Watched {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly probe: GpuProbe;
  readonly loop: ResidencyLoop;
}

/** Where there are cards that can be lost. */
export function startDeviceWatch(
  watched: Watched,
  devices: readonly Device[],
): { readonly close: () => void } {
  const closed = new AbortController();
  if (devices.some(({ kind }) => kind === "cuda" || kind === "simulated"))
    void watchDevices(watched, closed.signal);
  return { close: () => closed.abort() };
}

/** Looks whether the devices are still there, until the signal aborts; what is lost is told once. Never rejects. */
async function watchDevices(watched: Watched, signal: AbortSignal): Promise<void> {
  const { clock, logger, probe, loop } = watched;
  const told = new Set<number>();
  while (await sleptThrough(clock, LOOK_EVERY_MS, signal)) {
    await probe.readings();
    const indices = new Set([...probe.lost()].filter((index) => !told.has(index)));
    if (indices.size === 0 || signal.aborted) continue;
    for (const index of indices) told.add(index);
    logger.error({ devices: [...indices] }, "devices do not answer any more: what is on them is ended");
    loop.dispatch({ kind: "devices-lost", indices, atMs: clock.nowMs() });
  }
}
