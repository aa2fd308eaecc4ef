import { cpus } from "node:os";
import { assertNever } from "../../../core/assert-never.ts";
import type { Clock } from "../../../core/clock.ts";
import { withinGrace } from "../../../core/interruptible-sleep.ts";
import type { Logger } from "../../../platform/logger.ts";
import type { Device } from "../../../protocol/neuron-api.ts";
import {
  DEVICE_QUERY_FIELDS,
  describeCpuDevice,
  LOST_WORDS,
  type DeviceQueryField,
  type DeviceReading,
} from "../describe-device.ts";
import { askDriver, hostMemory, type DriverAnswer, type DriverTool } from "./ask-driver.ts";
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

export interface GpuProbeOptions extends DriverTool {
  readonly clock: Clock;
  readonly logger: Logger;
}

const READING_MAX_AGE_MS = 1_000;
/** How long a caller waits for a fresh reading: what asks the driver for its own sake takes a fraction of that. */
const READING_PATIENCE_MS = 250;
/** Where one card that is lost hides the others, so many are asked for one by one. */
const MOST_CARDS = 16;

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
      const asked = await askForKnown(options, fields);
      ({ fields } = asked);
      let { query } = asked;
      if (query.kind === "failed" && LOST_WORDS.test(query.reason)) {
        query = (await askOneByOne(options, fields)) ?? query;
      }
      const report = query.kind === "answered" ? query.report : null;
      for (const problem of report?.problems ?? []) logger.warn({ problem }, "nvidia-smi tells of no device");
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

function unavailableReason(query: DriverAnswer): string | null {
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

/** An old driver names the first field that it does not know, and answers nothing. */
async function askForKnown(
  options: GpuProbeOptions,
  fields: readonly DeviceQueryField[],
): Promise<{ readonly query: DriverAnswer; readonly fields: readonly DeviceQueryField[] }> {
  const query = await askDriver(options, { fields });
  const said = query.kind === "failed" ? query.reason : "";
  const [, unknown] = /"([\w.]+)" is not a valid field/i.exec(said) ?? [];
  const rest = fields.filter((field) => field !== unknown);
  return rest.length === fields.length ? { query, fields } : askForKnown(options, rest);
}

/** The devices of those cards that answer when they are asked alone; null where none does. */
async function askOneByOne(
  options: GpuProbeOptions,
  fields: readonly DeviceQueryField[],
): Promise<DriverAnswer | null> {
  const ids = Array.from({ length: MOST_CARDS }, (_nothing, index) => String(index));
  const answers = await Promise.all(ids.map((id) => askDriver(options, { fields, id })));
  const reports = answers.flatMap((answer) => (answer.kind === "answered" ? answer.report : []));
  const devices = reports.flatMap((report) => report.devices);
  if (devices.length === 0) return null;
  const report = {
    devices,
    readings: reports.flatMap(({ readings }) => readings),
    driverVersion: reports[0]?.driverVersion ?? null,
    problems: reports.flatMap(({ problems }) => problems),
  };
  return { kind: "answered", report };
}

/** A machine without a GPU, or with one that cannot be used. */
export const cpuDevice = (): Device => describeCpuDevice(hostMemory(), cpus()[0]?.model.trim() ?? "CPU");

interface Looked {
  readonly readings: readonly DeviceReading[];
  /** Which of those that were found say that they are lost. */
  readonly misses: ReadonlyMap<number, boolean>;
  /** Why the driver gave no reading of all of them; null when it did. */
  readonly reason: string | null;
}

interface Known {
  readonly fields: readonly DeviceQueryField[];
  readonly found: readonly Device[];
}

/** All devices at once; those that are missing in the answer alone. */
async function lookAtDevices(options: GpuProbeOptions, known: Known): Promise<Looked> {
  const { fields, found } = known;
  const query = await askDriver(options, { fields });
  const report = query.kind === "answered" ? query.report : null;
  const isListed = ({ uuid }: Device): boolean =>
    report?.devices.some((device) => device.uuid === uuid) ?? false;
  const looks = await Promise.all(
    found.map(async (device) => ({
      index: device.index,
      one: isListed(device) ? null : await lookAtOne(options, { fields, device }),
    })),
  );
  const alone = looks.flatMap(({ one }) => (one?.kind === "answers" ? one.reading : []));
  const readings = [...(report?.readings ?? []), ...alone];
  return {
    readings: readings.toSorted((left, right) => left.index - right.index),
    misses: new Map(looks.map(({ index, one }) => [index, one?.kind === "lost"])),
    reason: reasonOf(query),
  };
}

function reasonOf(query: DriverAnswer): string | null {
  if (query.kind === "answered") return null;
  return query.kind === "failed" ? query.reason : "gone";
}

type OneDevice =
  | { readonly kind: "answers"; readonly reading: DeviceReading }
  | { readonly kind: "lost" }
  | { readonly kind: "unknown" };

/** A device that the driver does not list any more, or whose failure hides all others. */
async function lookAtOne(
  options: GpuProbeOptions,
  { fields, device }: Pick<Known, "fields"> & { readonly device: Device },
): Promise<OneDevice> {
  const query = await askDriver(options, { fields, id: device.part_of ?? device.uuid });
  const report = query.kind === "answered" ? query.report : null;
  const at = report?.devices.findIndex(({ uuid }) => uuid === device.uuid) ?? -1;
  const reading = report?.readings[at];
  if (reading !== undefined) return { kind: "answers", reading };
  // A card that answers and does not have this part any more was divided anew.
  return saysLost(query) ? { kind: "lost" } : { kind: "unknown" };
}

/** A tool that does not run, hangs, or does not fit its driver says nothing about a device. */
const saysLost = (query: DriverAnswer): boolean =>
  (query.kind === "answered" && query.report.problems.every((problem) => LOST_WORDS.test(problem))) ||
  (query.kind === "failed" && LOST_WORDS.test(query.reason));
