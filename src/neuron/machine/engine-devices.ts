import { MIB_BYTES } from "../../core/quantities.ts";
import type { Device } from "../../protocol/neuron-api.ts";
import type { EngineDevices } from "../../protocol/worker-messages.ts";
import type { DeviceReading } from "./describe-device.ts";

/** They pretend to be a GPU and compute on the processor, slower than the engine itself. */
const SOFTWARE = /llvmpipe|lavapipe|swiftshader|software|basic render/i;

/**
 * GPUs that NVIDIA's tool does not know, by what the engine finds, as one device: the engine uses all of them for a
 * model, and tells their memory as one figure. Null where there is none that is worth using. CUDA is here where one card
 * works and the tool is missing (Jetson); several would have to be told apart for workers, which takes the tool.
 */
export function describeEngineDevices(found: EngineDevices): {
  readonly device: Device;
  readonly reading: DeviceReading;
} | null {
  const { gpu, names, total_bytes: total, used_bytes: used } = found;
  const totalMib = Math.floor(total / MIB_BYTES);
  if (gpu === null || totalMib === 0) return null;
  if (gpu === "cuda" && names.length > 1) return null;
  if (names.length > 0 && names.every((name) => SOFTWARE.test(name))) return null;
  const usedMib = Math.min(totalMib, Math.ceil(used / MIB_BYTES));
  return {
    device: {
      index: 0,
      uuid: `${gpu}-0`,
      kind: gpu,
      name: names.length === 0 ? `${gpu} device` : names.join(" + "),
      vram_total_mb: totalMib,
      compute_capability: null,
    },
    reading: {
      index: 0,
      usedMib,
      freeMib: totalMib - usedMib,
      utilizationPct: null,
      temperatureC: null,
    },
  };
}
