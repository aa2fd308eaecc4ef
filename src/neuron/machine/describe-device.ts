import { present } from "../../core/present.ts";
import { MIB_BYTES } from "../../core/quantities.ts";
import type { Device } from "../../protocol/neuron-api.ts";
import { partitionIndex, type Partition } from "./partitions.ts";

/** What is asked of the driver, in the order of the answer's columns. The last two are unknown to old drivers. */
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
  "mig.mode.current",
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

/** A card as the driver lists it. */
export interface Card {
  readonly index: number;
  readonly uuid: string;
  readonly name: string;
  /** `shared`: it has none of its own and uses the machine's. */
  readonly memory: CardMemory | "shared" | "unknown";
  readonly utilizationPct: number | null;
  readonly temperatureC: number | null;
  readonly computeCapability: string | null;
  /** MIG is on: only its partitions can be used. */
  readonly isPartitioned: boolean;
}

interface CardMemory {
  readonly totalMib: number;
  readonly usedMib: number;
  readonly freeMib: number;
}

export interface CardListing {
  readonly cards: readonly Card[];
  readonly driverVersion: string | null;
  readonly problems: readonly string[];
}

/**
 * Reads `nvidia-smi --query-gpu=<fields> --format=csv,noheader,nounits`. A value the driver does not know
 * (`[N/A]`, `[Not Supported]`, `[Unknown Error]`) is null; a line without an index is a problem.
 */
export function parseCards(
  output: string,
  fields: readonly DeviceQueryField[] = DEVICE_QUERY_FIELDS,
): CardListing {
  const cards: Card[] = [];
  const problems: string[] = [];
  let driverVersion: string | null = null;
  for (const line of output.split(/\r?\n/)) {
    if (line.trim() === "") continue;
    const columns = splitColumns(line, fields);
    const card = columns === null ? null : parseCard(columns);
    if (columns === null || card === null || cards.some(({ index }) => index === card.index)) {
      problems.push(`not understood: ${line.trim().slice(0, 200)}`);
      continue;
    }
    cards.push(card);
    driverVersion ??= known(columns.get("driver_version"));
  }
  return { cards, driverVersion, problems };
}

/** The memory of the machine: where a card has none of its own. */
export interface HostMemory {
  readonly physicalBytes: number;
  /** The limit of the container or control group; null without one. */
  readonly constrainedBytes: number | null;
  /** What programs could still take. */
  readonly availableBytes: number;
}

/** Devices of a listing: cards, or their partitions. A card whose memory nobody tells is a problem. */
export function describeDevices(
  { cards, driverVersion, problems }: CardListing,
  beside: { readonly partitions: readonly Partition[]; readonly host: HostMemory },
): DeviceReport {
  const found = cards.map((card) => describeCard(card, beside));
  const seen = found.flatMap((card) => card.seen);
  return {
    devices: seen.map(({ device }) => device),
    readings: seen.map(({ reading }) => reading),
    driverVersion,
    problems: [...problems, ...found.flatMap((card) => card.problem ?? [])],
  };
}

interface SeenDevice {
  readonly device: Device;
  readonly reading: DeviceReading;
}

function describeCard(
  card: Card,
  { partitions, host }: { readonly partitions: readonly Partition[]; readonly host: HostMemory },
): { readonly seen: readonly SeenDevice[]; readonly problem?: string } {
  if (card.isPartitioned) {
    const parts = partitions.filter(({ cardUuid }) => cardUuid === card.uuid);
    if (parts.length > 0) return { seen: parts.map((part) => describePartition(card, part)) };
    const problem = `card ${card.index} (${card.name}) is in MIG mode and has no instance: make one (nvidia-smi mig -cgi PROFILE -C), or turn MIG off (nvidia-smi -i ${card.index} -mig 0)`;
    return { seen: [], problem };
  }
  if (card.memory === "unknown") {
    return { seen: [], problem: `card ${card.index} (${card.name}) does not say how much memory it has` };
  }
  return { seen: [describeWhole(card, card.memory === "shared" ? sharedMemory(host) : card.memory)] };
}

function describeWhole(card: Card, { totalMib, usedMib, freeMib }: CardMemory): SeenDevice {
  const { index, uuid, name, utilizationPct, temperatureC, computeCapability } = card;
  return {
    device: {
      index,
      uuid,
      kind: "cuda",
      name,
      vram_total_mb: totalMib,
      compute_capability: computeCapability,
    },
    reading: { index, usedMib, freeMib, utilizationPct, temperatureC },
  };
}

function describePartition(card: Card, part: Partition): SeenDevice {
  const index = partitionIndex(card.index, part.index);
  const name = `${card.name} MIG ${part.profile}`;
  // What a part has to do the driver does not tell, and the card's figure is that of all parts together.
  const { device, reading } = describeWhole(
    { ...card, index, uuid: part.uuid, name, utilizationPct: null },
    part,
  );
  return { device: { ...device, part_of: card.uuid }, reading };
}

/** The share of the system is set aside, so that what others take within it is no use of the card. */
function sharedMemory(host: HostMemory): CardMemory {
  const { limitMib, reserveMib } = hostLimits(host);
  const totalMib = Math.floor(limitMib - reserveMib);
  const takenMib = limitMib - reserveMib - Math.floor(host.availableBytes / MIB_BYTES);
  const usedMib = Math.floor(Math.min(totalMib, Math.max(0, takenMib)));
  return { totalMib, usedMib, freeMib: totalMib - usedMib };
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

function parseCard(columns: Columns): Card | null {
  const index = wholeNumber(columns.get("index"));
  if (index === null) return null;
  return {
    index,
    uuid: known(columns.get("uuid")) ?? `cuda-${index}`,
    name: known(columns.get("name")) ?? "NVIDIA device",
    memory: parseMemory(columns),
    utilizationPct: wholeNumber(columns.get("utilization.gpu")),
    temperatureC: wholeNumber(columns.get("temperature.gpu")),
    computeCapability: known(columns.get("compute_cap")),
    isPartitioned: columns.get("mig.mode.current") === "Enabled",
  };
}

/** A GPU that shares the machine's memory (GB10, Jetson) has nothing to tell; a broken or forbidden one says so. */
const SHARED_WORDS = /^(?:\[?N\/A\]?|\[Not Supported\])$/;

function parseMemory(columns: Columns): Card["memory"] {
  const total = columns.get("memory.total");
  const totalMib = wholeNumber(total);
  if (totalMib === null) return SHARED_WORDS.test(total ?? "") ? "shared" : "unknown";
  // A driver that cannot say what is used is taken to use nothing: the ledger then counts only what we hold.
  const usedMib = Math.min(totalMib, wholeNumber(columns.get("memory.used")) ?? 0);
  return { totalMib, usedMib, freeMib: wholeNumber(columns.get("memory.free")) ?? totalMib - usedMib };
}

const known = (value: string | undefined): string | null =>
  value === undefined || value === "" || /^\[.*\]$/.test(value) || value === "N/A" ? null : value;

const wholeNumber = (value: string | undefined): number | null =>
  value !== undefined && /^\d+(\.\d+)?$/.test(value) ? Math.round(Number(value)) : null;

/** Memory that stays with the operating system and the other processes of a machine without a GPU. */
const HOST_RESERVE_MIB = 1024;
const HOST_RESERVE_SHARE = 0.1;

function hostLimits(memory: Pick<HostMemory, "physicalBytes" | "constrainedBytes">) {
  const limitBytes = Math.min(memory.physicalBytes, memory.constrainedBytes ?? memory.physicalBytes);
  const limitMib = Math.floor(limitBytes / MIB_BYTES);
  const reserveMib = Math.min(Math.max(HOST_RESERVE_MIB, limitMib * HOST_RESERVE_SHARE), limitMib / 2);
  return { limitMib, reserveMib };
}

/**
 * A machine without a GPU as one device: what the machine or its container may use, less a share for the rest of
 * the system. The figure is fixed, unlike free memory, so that a plan is the same at each look.
 */
export function describeCpuDevice(
  memory: Pick<HostMemory, "physicalBytes" | "constrainedBytes">,
  cpuModel: string,
): Device {
  const { limitMib, reserveMib } = hostLimits(memory);
  return {
    index: 0,
    uuid: "cpu-0",
    kind: "cpu",
    name: cpuModel,
    vram_total_mb: Math.floor(limitMib - reserveMib),
    compute_capability: null,
  };
}
