import { execFile } from "node:child_process";
import { cpus, totalmem } from "node:os";
import { assertNever } from "../../../core/assert-never.ts";
import type { Clock } from "../../../core/clock.ts";
import { present } from "../../../core/present.ts";
import { MIB_BYTES } from "../../../core/quantities.ts";
import type { Logger } from "../../../platform/logger.ts";
import type { Device } from "../../../protocol/neuron-api.ts";
import {
  DEVICE_QUERY_FIELDS,
  describeCpuDevice,
  parseDeviceReport,
  type DeviceQueryField,
  type DeviceReading,
  type DeviceReport,
} from "../describe-device.ts";

export interface DiscoveredDevices {
  readonly devices: readonly Device[];
  readonly driverVersion: string | null;
  /** Set when the driver's tool is there and does not work; null with CUDA devices and on a plain CPU machine. */
  readonly cudaUnavailableReason: string | null;
}

export interface GpuProbe {
  discover(): Promise<DiscoveredDevices>;
  /** At most a second old; never fails: an unreadable driver gives the last good reading. */
  readings(): Promise<readonly DeviceReading[]>;
  /** What the driver says is used right now, by device index; empty without a driver. */
  usedMib(): Promise<ReadonlyMap<number, number>>;
}

export interface GpuProbeOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** The driver's tool; a name that is searched in PATH or a path. */
  readonly nvidiaSmi?: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

const PROBE_TIMEOUT_MS = 5_000;
const READING_MAX_AGE_MS = 1_000;
const MAX_OUTPUT_BYTES = MIB_BYTES;

type Query =
  | { readonly kind: "answered"; readonly report: DeviceReport }
  | { readonly kind: "absent" }
  | { readonly kind: "failed"; readonly reason: string };

/** Asks `nvidia-smi`; a machine without it is one device of kind `cpu`. */
export function createGpuProbe(options: GpuProbeOptions): GpuProbe {
  const { clock, logger } = options;
  let hasCuda = false;
  let fields: readonly DeviceQueryField[] = DEVICE_QUERY_FIELDS;
  let latest: readonly DeviceReading[] = [];
  let readAtMs = Number.NEGATIVE_INFINITY;
  let reading: Promise<void> | null = null;

  const refresh = async (): Promise<void> => {
    const query = await queryDevices(options, fields);
    readAtMs = clock.monotonicMs();
    if (query.kind === "answered") latest = query.report.readings;
    else
      logger.warn({ reason: query.kind === "failed" ? query.reason : "gone" }, "nvidia-smi gave no reading");
  };
  const readNow = async (): Promise<void> => {
    if (!hasCuda) return;
    reading ??= refresh().finally(() => {
      reading = null;
    });
    await reading;
  };

  return {
    discover: async () => {
      let query = await queryDevices(options, fields);
      if (query.kind === "failed" && /not a valid field/i.test(query.reason)) {
        fields = DEVICE_QUERY_FIELDS.filter((field) => field !== "compute_cap");
        query = await queryDevices(options, fields);
      }
      const report = query.kind === "answered" ? query.report : null;
      for (const problem of report?.problems ?? []) logger.warn({ problem }, "nvidia-smi line skipped");
      if (report !== null && report.devices.length > 0) {
        hasCuda = true;
        latest = report.readings;
        readAtMs = clock.monotonicMs();
        return { devices: report.devices, driverVersion: report.driverVersion, cudaUnavailableReason: null };
      }
      return { devices: [cpuDevice()], driverVersion: null, cudaUnavailableReason: unavailableReason(query) };
    },
    readings: async () => {
      if (clock.monotonicMs() - readAtMs > READING_MAX_AGE_MS) await readNow();
      return latest;
    },
    usedMib: async () => {
      await readNow();
      return new Map(latest.map((device) => [device.index, device.usedMib]));
    },
  };
}

function unavailableReason(query: Query): string | null {
  switch (query.kind) {
    case "absent":
      return null;
    case "failed":
      return query.reason;
    case "answered":
      return query.report.problems[0] ?? "nvidia-smi lists no device";
    default:
      return assertNever(query);
  }
}

/** A machine without a GPU, or with one that cannot be used. */
export const cpuDevice = (): Device =>
  describeCpuDevice(
    { physicalBytes: totalmem(), constrainedBytes: process.constrainedMemory() || null },
    cpus()[0]?.model.trim() ?? "CPU",
  );

function queryDevices(options: GpuProbeOptions, fields: readonly DeviceQueryField[]): Promise<Query> {
  const tool = options.nvidiaSmi ?? "nvidia-smi";
  const args = [`--query-gpu=${fields.join(",")}`, "--format=csv,noheader,nounits"];
  return new Promise((resolve) => {
    const settings = {
      timeout: PROBE_TIMEOUT_MS,
      killSignal: "SIGKILL" as const,
      maxBuffer: MAX_OUTPUT_BYTES,
      env: { ...options.environment, LC_ALL: "C" },
    };
    execFile(tool, args, settings, (error, stdout, stderr) => {
      if (error === null) resolve({ kind: "answered", report: parseDeviceReport(stdout, fields) });
      else if (error.code === "ENOENT") resolve({ kind: "absent" });
      else if (error.killed === true) {
        resolve({ kind: "failed", reason: `nvidia-smi did not answer within ${PROBE_TIMEOUT_MS / 1000} s` });
      } else resolve({ kind: "failed", reason: failureText(stdout, stderr, error.message) });
    });
  });
}

/** The tool prints its complaint on stdout; the first line says it. */
function failureText(stdout: string, stderr: string, fallback: string): string {
  const text = [stdout, stderr, fallback].find((candidate) => candidate.trim() !== "") ?? fallback;
  return `nvidia-smi failed: ${present(text.trim().split("\n")[0], "the first line").slice(0, 300)}`;
}
