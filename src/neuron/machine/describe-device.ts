import { present } from "../../core/present.ts";
import { MIB_BYTES } from "../../core/quantities.ts";
import type { Device } from "../../protocol/neuron-api.ts";

/** What is asked of the driver, in the order of the answer's columns. `compute_cap` is unknown to old drivers. */
export const DEVICE_QUERY_FIELDS = [
  "index",
  "uuid",
  "name",
  "memory.total",
  "memory.used",
  "memory.free",
  "utilization.gpu",
  "temperature.gpu",
  "driver_version",
  "compute_cap",
] as const;

export type DeviceQueryField = (typeof DEVICE_QUERY_FIELDS)[number];

/** What the driver says of a card that has fallen off the bus. */
export const LOST_WORDS =
  /GPU is lost|fallen off the bus|no longer accessible|No devices were found|Unable to determine the device handle/i;

export interface DeviceReading {
  readonly index: number;
  readonly usedMib: number;
  readonly freeMib: number;
  readonly utilizationPct: number | null;
  readonly temperatureC: number | null;
}

export interface DeviceReport {
  readonly devices: readonly Device[];
  readonly readings: readonly DeviceReading[];
  readonly driverVersion: string | null;
  /** Lines that told no device, each with the reason: shown to the operator, never fatal to the other lines. */
  readonly problems: readonly string[];
}

/**
 * Reads `nvidia-smi --query-gpu=<fields> --format=csv,noheader,nounits`. A value the driver does not know
 * (`[N/A]`, `[Not Supported]`, `[Unknown Error]`) is null; a line without index or total memory is a problem.
 */
export function parseDeviceReport(
  output: string,
  fields: readonly DeviceQueryField[] = DEVICE_QUERY_FIELDS,
): DeviceReport {
  const devices: Device[] = [];
  const readings: DeviceReading[] = [];
  const problems: string[] = [];
  let driverVersion: string | null = null;
  for (const line of output.split(/\r?\n/)) {
    if (line.trim() === "") continue;
    const columns = splitColumns(line, fields);
    const parsed = columns === null ? null : parseDevice(columns);
    if (columns === null || parsed === null || devices.some(({ index }) => index === parsed.device.index)) {
      problems.push(`not understood: ${line.trim().slice(0, 200)}`);
      continue;
    }
    devices.push(parsed.device);
    readings.push(parsed.reading);
    driverVersion ??= known(columns.get("driver_version"));
  }
  return { devices, readings, driverVersion, problems };
}

type Columns = ReadonlyMap<DeviceQueryField, string>;

/** Only a device's name could hold a comma, so surplus columns belong to it. */
function splitColumns(line: string, fields: readonly DeviceQueryField[]): Columns | null {
  const cells = line.split(",").map((cell) => cell.trim());
  const surplus = cells.length - fields.length;
  if (surplus < 0) return null;
  const nameAt = fields.indexOf("name");
  if (surplus > 0 && nameAt >= 0) {
    const name = cells.slice(nameAt, nameAt + surplus + 1).join(", ");
    cells.splice(nameAt, surplus + 1, name);
  }
  return new Map(fields.map((field, at) => [field, present(cells[at], "column", field)]));
}

function parseDevice(columns: Columns): { readonly device: Device; readonly reading: DeviceReading } | null {
  const index = wholeNumber(columns.get("index"));
  const totalMib = wholeNumber(columns.get("memory.total"));
  if (index === null || totalMib === null) return null;
  // A driver that cannot say what is used is taken to use nothing: the ledger then counts only what we hold.
  const usedMib = Math.min(totalMib, wholeNumber(columns.get("memory.used")) ?? 0);
  return {
    device: {
      index,
      uuid: known(columns.get("uuid")) ?? `cuda-${index}`,
      kind: "cuda",
      name: known(columns.get("name")) ?? "NVIDIA device",
      vram_total_mb: totalMib,
      compute_capability: known(columns.get("compute_cap")),
    },
    reading: {
      index,
      usedMib,
      freeMib: wholeNumber(columns.get("memory.free")) ?? totalMib - usedMib,
      utilizationPct: wholeNumber(columns.get("utilization.gpu")),
      temperatureC: wholeNumber(columns.get("temperature.gpu")),
    },
  };
}

const known = (value: string | undefined): string | null =>
  value === undefined || value === "" || /^\[.*\]$/.test(value) || value === "N/A" ? null : value;

const wholeNumber = (value: string | undefined): number | null =>
  value !== undefined && /^\d+(\.\d+)?$/.test(value) ? Math.round(Number(value)) : null;

/** Memory that stays with the operating system and the other processes of a machine without a GPU. */
const HOST_RESERVE_MIB = 1024;
const HOST_RESERVE_SHARE = 0.1;

export interface HostMemory {
  readonly physicalBytes: number;
  /** The limit of the container or control group; null without one. */
  readonly constrainedBytes: number | null;
}

/**
 * A machine without a GPU as one device: what the machine or its container may use, less a share for the rest of
 * the system. The figure is fixed, unlike free memory, so that a plan is the same at each look.
 */
export function describeCpuDevice(memory: HostMemory, cpuModel: string): Device {
  const limitBytes = Math.min(memory.physicalBytes, memory.constrainedBytes ?? memory.physicalBytes);
  const limitMib = Math.floor(limitBytes / MIB_BYTES);
  const reserveMib = Math.min(Math.max(HOST_RESERVE_MIB, limitMib * HOST_RESERVE_SHARE), limitMib / 2);
  return {
    index: 0,
    uuid: "cpu-0",
    kind: "cpu",
    name: cpuModel,
    vram_total_mb: Math.floor(limitMib - reserveMib),
    compute_capability: null,
  };
}
