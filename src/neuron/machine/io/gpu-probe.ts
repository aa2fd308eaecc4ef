import { execFile } from "node:child_process";
import { cpus, totalmem } from "node:os";
import { assertNever } from "../../../core/assert-never.ts";
import type { Clock } from "../../../core/clock.ts";
import { withinGrace } from "../../../core/interruptible-sleep.ts";
import { present } from "../../../core/present.ts";
import { MIB_BYTES } from "../../../core/quantities.ts";
import type { Logger } from "../../../platform/logger.ts";
import type { Device } from "../../../protocol/neuron-api.ts";
import {
  DEVICE_QUERY_FIELDS,
  describeCpuDevice,
  LOST_WORDS,
  parseDeviceReport,
  type DeviceQueryField,
  type DeviceReading,
  type DeviceReport,
} from "../describe-device.ts";
import { MissedLooks } from "../missed-looks.ts";

export interface DiscoveredDevices {
  readonly devices: readonly Device[];
  readonly driverVersion: string | null;
  /** Set when the driver's tool is there and does not work; null with CUDA devices and on a plain CPU machine. */
  readonly cudaUnavailableReason: string | null;
}

export interface GpuProbe {
  discover(): Promise<DiscoveredDevices>;
  /** A second old as a rule; never fails, and never waits for a driver that is slow: the last good reading then. */
  readings(): Promise<readonly DeviceReading[]>;
  /** Devices that were found and do not answer any more, by index. */
  lost(): ReadonlySet<number>;
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
/** How long a caller waits for a fresh reading: what asks the driver for its own sake takes a fraction of that. */
const READING_PATIENCE_MS = 250;
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

  let found: readonly Device[] = [];
  const misses = new MissedLooks();

  const refresh = async (): Promise<void> => {
    const looked = await lookAtDevices(options, { fields, found });
    misses.count(looked.misses);
    readAtMs = clock.monotonicMs();
    if (looked.readings.length > 0) latest = looked.readings;
    if (looked.reason !== null) logger.warn({ reason: looked.reason }, "nvidia-smi gave no reading");
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
      let query = await queryDevices(options, { fields });
      if (query.kind === "failed" && /not a valid field/i.test(query.reason)) {
        fields = DEVICE_QUERY_FIELDS.filter((field) => field !== "compute_cap");
        query = await queryDevices(options, { fields });
      }
      const report = query.kind === "answered" ? query.report : null;
      for (const problem of report?.problems ?? []) logger.warn({ problem }, "nvidia-smi line skipped");
      if (report !== null && report.devices.length > 0) {
        hasCuda = true;
        found = report.devices;
        latest = report.readings;
        readAtMs = clock.monotonicMs();
        return { devices: report.devices, driverVersion: report.driverVersion, cudaUnavailableReason: null };
      }
      return { devices: [cpuDevice()], driverVersion: null, cudaUnavailableReason: unavailableReason(query) };
    },
    readings: async () => {
      if (clock.monotonicMs() - readAtMs > READING_MAX_AGE_MS) {
        await withinGrace(readNow(), { clock, graceMs: READING_PATIENCE_MS });
      }
      return latest;
    },
    lost: () => misses.lost(),
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

interface Looked {
  readonly readings: readonly DeviceReading[];
  /** Which of those that were found say that they are lost. */
  readonly misses: ReadonlyMap<number, boolean>;
  /** Why the driver gave no reading of all of them; null when it did. */
  readonly reason: string | null;
}

/** All devices at once; those that are missing in the answer alone. */
async function lookAtDevices(
  options: GpuProbeOptions,
  { fields, found }: { readonly fields: readonly DeviceQueryField[]; readonly found: readonly Device[] },
): Promise<Looked> {
  const query = await queryDevices(options, { fields });
  const report = query.kind === "answered" ? query.report : null;
  const isListed = ({ uuid }: Device): boolean =>
    report?.devices.some((device) => device.uuid === uuid) ?? false;
  const looks = await Promise.all(
    found.map(async (device) => ({
      index: device.index,
      one: isListed(device) ? null : await lookAtOne(options, { fields, device }),
    })),
  );
  const alone = looks.flatMap(({ one }) => (one?.kind === "answers" ? one.readings : []));
  const readings = [...(report?.readings ?? []), ...alone];
  return {
    readings: readings.toSorted((left, right) => left.index - right.index),
    misses: new Map(looks.map(({ index, one }) => [index, one?.kind === "lost"])),
    reason: reasonOf(query),
  };
}

function reasonOf(query: Query): string | null {
  if (query.kind === "answered") return null;
  return query.kind === "failed" ? query.reason : "gone";
}

type OneDevice =
  | { readonly kind: "answers"; readonly readings: readonly DeviceReading[] }
  | { readonly kind: "lost" }
  | { readonly kind: "unknown" };

/** A device that the driver does not list any more, or whose failure hides all others. */
async function lookAtOne(
  options: GpuProbeOptions,
  { fields, device }: { readonly fields: readonly DeviceQueryField[]; readonly device: Device },
): Promise<OneDevice> {
  const query = await queryDevices(options, { fields, id: device.uuid });
  if (query.kind === "answered" && query.report.readings.length > 0) {
    return { kind: "answers", readings: query.report.readings };
  }
  return saysLost(query) ? { kind: "lost" } : { kind: "unknown" };
}

/** A tool that does not run, hangs, or does not fit its driver says nothing about a device. */
const saysLost = (query: Query): boolean =>
  (query.kind === "answered" && query.report.problems.every((problem) => LOST_WORDS.test(problem))) ||
  (query.kind === "failed" && LOST_WORDS.test(query.reason));

function queryDevices(
  options: GpuProbeOptions,
  { fields, id }: { readonly fields: readonly DeviceQueryField[]; readonly id?: string },
): Promise<Query> {
  const tool = options.nvidiaSmi ?? "nvidia-smi";
  const only = id === undefined ? [] : [`--id=${id}`];
  const args = [...only, `--query-gpu=${fields.join(",")}`, "--format=csv,noheader,nounits"];
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
