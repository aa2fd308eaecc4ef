import { CortexError } from "../../core/errors.ts";
import { err, ok, type Result } from "../../core/result.ts";
import type { Device } from "../../protocol/neuron-api.ts";

const MOST_DEVICES = 64;
const UNITS_MIB: Readonly<Record<string, number>> = { mib: 1, gib: 1024, tib: 1024 * 1024 };
const ONE_SPEC = /^(?:(\d+)\s*x\s*)?(\d+(?:\.\d+)?)\s*(MiB|GiB|TiB)\s*(.*)$/i;

/** Reads "2x32GiB RTX 5090, 24GiB RTX 4090": devices that are not there, as sizes and names. */
export function parseSimulatedDevices(text: string): Result<readonly Device[], CortexError> {
  const devices: Device[] = [];
  for (const spec of text.split(",").map((part) => part.trim())) {
    const one = parseOne(spec);
    if (one === null) return notUnderstood(text, spec);
    if (devices.length + one.count > MOST_DEVICES) {
      return err(new CortexError("usage_error", `a neuron simulates ${MOST_DEVICES} devices at most`));
    }
    for (let at = 0; at < one.count; at += 1) devices.push(deviceOf(devices.length, one));
  }
  return ok(devices);
}

interface Simulated {
  readonly count: number;
  readonly totalMib: number;
  readonly name: string;
}

function parseOne(spec: string): Simulated | null {
  const [whole, count = "1", size = "", unit = "", name = ""] = ONE_SPEC.exec(spec) ?? [];
  if (whole === undefined) return null;
  const totalMib = Math.round(Number(size) * (UNITS_MIB[unit.toLowerCase()] ?? 0));
  const found = { count: Number(count), totalMib, name: name === "" ? "GPU" : name };
  return found.count === 0 || totalMib === 0 ? null : found;
}

const deviceOf = (index: number, { name, totalMib }: Simulated): Device => ({
  index,
  uuid: `simulated-${index}`,
  kind: "simulated",
  name,
  vram_total_mb: totalMib,
  compute_capability: null,
});

const notUnderstood = (text: string, spec: string): Result<never, CortexError> =>
  err(
    new CortexError(
      "usage_error",
      `--simulate ${JSON.stringify(text)}: ${JSON.stringify(spec)} is not a number of devices, their size and their name`,
      { next: 'write it like "2x32GiB RTX 5090" or "24GiB RTX 4090, 12GiB RTX 3060"' },
    ),
  );
