import { CortexError } from "../../core/errors.ts";
import { formatMib } from "../../core/quantities.ts";
import { err, ok, type Result } from "../../core/result.ts";

/**
 * Who holds how much of which device: the one place where memory is promised. A promise is made from an estimate
 * before a load (`reserve`), replaced by the measurement after it (`recordMeasured`) and taken back only once the process
 * that held the memory is gone (`release`), so nothing is promised twice. All figures are whole MiB.
 *
 * A model on several devices takes from each in proportion to what is free there, because that is how the engine
 * splits layers: a model fits when the sum fits, also over cards of different size.
 */
interface Hold {
  readonly holder: string;
  readonly heldMib: number;
  readonly reason: "reserved" | "measured";
}

export interface LedgerDevice {
  readonly index: number;
  readonly totalMib: number;
  /** Used by processes that are not ours, as last read from the driver. */
  readonly foreignMib: number;
  readonly holds: readonly Hold[];
  /** It was there at the start, and is not any more: it has no memory to promise. */
  readonly isLost?: true;
  /** A part of a card: a model takes one of them and no device beside it. */
  readonly isPart?: true;
}

export type DeviceLedger = readonly LedgerDevice[];

export interface ReservationRequest {
  readonly holder: string;
  readonly requiredMib: number;
  /** How many devices the model is spread over; unused when `devices` names them. */
  readonly minDevices: number;
  /** Indices chosen by the caller. */
  readonly devices: readonly number[] | undefined;
}

export interface Reservation {
  readonly ledger: DeviceLedger;
  /** Indices, ascending. */
  readonly devices: readonly number[];
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

export const heldMib = (device: LedgerDevice): number => sum(device.holds.map((hold) => hold.heldMib));

/** Never below zero: a foreign process may have taken what we hold on paper. */
export const freeMib = (device: LedgerDevice): number =>
  Math.max(0, device.totalMib - device.foreignMib - heldMib(device));

export const heldByMib = (ledger: DeviceLedger, holder: string): number =>
  sum(
    ledger.flatMap((device) => device.holds.filter((hold) => hold.holder === holder)).map((h) => h.heldMib),
  );

/** What `holder` holds on one device. */
export const heldOnDeviceMib = (ledger: DeviceLedger, index: number, holder: string): number =>
  heldByMib(
    ledger.filter((device) => device.index === index),
    holder,
  );

/** Promises `requiredMib` to `holder`, on the devices it names or on those with the most free memory. */
export function reserve(ledger: DeviceLedger, request: ReservationRequest): Result<Reservation, CortexError> {
  const chosen = chooseDevices(ledger, request);
  if (!chosen.ok) return chosen;
  return spread(ledger, chosen.value, { ...request, reason: "reserved" });
}

/**
 * Replaces what `holder` was promised by what it was measured to use. Refuses when the truth does not fit beside
 * the other promises: the caller then stops the load, so that no device is ever over its budget.
 */
export function recordMeasured(
  ledger: DeviceLedger,
  measured: { readonly holder: string; readonly measuredMib: number; readonly devices: readonly number[] },
): Result<Reservation, CortexError> {
  const released = release(ledger, measured.holder);
  const chosen = released.filter((device) => measured.devices.includes(device.index));
  return spread(released, chosen, {
    holder: measured.holder,
    requiredMib: measured.measuredMib,
    reason: "measured",
  });
}

/** What was on them is on its way out, and nothing is promised of them again. */
export const withoutDevices = (ledger: DeviceLedger, lost: ReadonlySet<number>): DeviceLedger =>
  ledger.map((device) =>
    lost.has(device.index) ? { ...device, totalMib: 0, foreignMib: 0, isLost: true } : device,
  );

/** What one device gives to a holder. */
export interface DeviceShare {
  readonly index: number;
  readonly mib: number;
}

/** Takes over what a worker holds already, device by device; null where a device is not there, or gave it to others. */
export function takeOver(
  ledger: DeviceLedger,
  holder: string,
  shares: readonly DeviceShare[],
): DeviceLedger | null {
  const byIndex = new Map(shares.map(({ index, mib }) => [index, mib]));
  const next = ledger.map((device) => {
    const share = byIndex.get(device.index);
    if (share === undefined) return device;
    const hold: Hold = { holder, heldMib: share, reason: "measured" };
    return { ...device, holds: [...device.holds, hold] };
  });
  const isKnown = shares.every(({ index }) => ledger.some((device) => device.index === index));
  return isKnown && next.every((device) => heldMib(device) <= device.totalMib) ? next : null;
}

/** Takes back everything `holder` holds. Call it when its process is gone, not before. */
export const release = (ledger: DeviceLedger, holder: string): DeviceLedger =>
  ledger.map((device) =>
    device.holds.some((hold) => hold.holder === holder)
      ? { ...device, holds: device.holds.filter((hold) => hold.holder !== holder) }
      : device,
  );

/**
 * Takes over what the driver says is used. What exceeds our own promises belongs to others; while a load of ours
 * is under way its memory counts as ours, so a reading taken in the middle never invents foreign use.
 */
export const observeUsedMib = (ledger: DeviceLedger, usedMib: ReadonlyMap<number, number>): DeviceLedger =>
  ledger.map((device) => {
    const used = usedMib.get(device.index);
    if (used === undefined) return device;
    return { ...device, foreignMib: Math.min(device.totalMib, Math.max(0, used - heldMib(device))) };
  });

/** Of what a model held, what the driver may still show after its process has gone: readings are rough. */
const RESIDUE = 0.1;

/**
 * Whether the driver shows again what `holder` held: processes end before their memory is free. True where there is
 * no driver to ask.
 */
export const memoryHasReturned = (
  ledger: DeviceLedger,
  holder: string,
  usedMib: ReadonlyMap<number, number>,
): boolean =>
  ledger.every((device) => {
    const used = usedMib.get(device.index);
    const held = sum(device.holds.filter((hold) => hold.holder === holder).map((hold) => hold.heldMib));
    return used === undefined || used - (device.foreignMib + heldMib(device) - held) <= held * RESIDUE;
  });

function chooseDevices(
  ledger: DeviceLedger,
  request: ReservationRequest,
): Result<readonly LedgerDevice[], CortexError> {
  if (request.devices !== undefined && request.devices.length > 0) {
    return namedDevices(ledger, request.devices);
  }
  // Also what takes no memory is nowhere on a card that has fallen off.
  const isUsable = ({ isLost, isPart }: LedgerDevice): boolean =>
    isLost !== true && (isPart !== true || request.minDevices === 1);
  const present = ledger.filter(isUsable);
  if (request.minDevices > present.length) {
    return err(
      new CortexError(
        "no_feasible_neuron",
        `${request.holder} needs ${request.minDevices} devices and this neuron has ${present.length}${partsAside(ledger, request)}`,
        {
          details: { required_devices: request.minDevices, devices: present.length },
          next: "lower min_devices, or place the model on a neuron with more devices",
        },
      ),
    );
  }
  const byFreeMemory = present.toSorted(
    (left, right) => freeMib(right) - freeMib(left) || left.index - right.index,
  );
  return ok(byFreeMemory.slice(0, request.minDevices));
}

function partsAside(ledger: DeviceLedger, { minDevices }: ReservationRequest): string {
  const parts = minDevices === 1 ? [] : ledger.filter(({ isPart }) => isPart === true);
  return parts.length === 0
    ? ""
    : `, the ${parts.length} parts of cards (MIG) left out: a model takes one of those alone`;
}

function namedDevices(
  ledger: DeviceLedger,
  indices: readonly number[],
): Result<readonly LedgerDevice[], CortexError> {
  const lost = ledger.filter(({ index, isLost }) => isLost === true && indices.includes(index));
  if (lost.length > 0) {
    const which = lost.map(({ index }) => index).join(" and ");
    return err(
      new CortexError("device_lost", `device ${which} does not answer any more`, { param: "devices" }),
    );
  }
  const known = new Set(ledger.map((device) => device.index));
  const unknown = indices.filter((index) => !known.has(index));
  if (unknown.length > 0) {
    return err(
      new CortexError("invalid_request_body", `this neuron has no device ${unknown.join(", ")}`, {
        param: "devices",
        details: { devices: [...known] },
        next: "name devices that GET /discovery lists, or none",
      }),
    );
  }
  const named = ledger.filter((device) => indices.includes(device.index));
  const part = named.length === 1 ? undefined : named.find(({ isPart }) => isPart === true);
  if (part === undefined) return ok(named);
  return err(
    new CortexError(
      "invalid_request_body",
      `device ${part.index} is a part of a card (MIG), and a model takes one of those alone`,
      { param: "devices", next: "name one part, or whole cards" },
    ),
  );
}

interface Spread {
  readonly holder: string;
  readonly requiredMib: number;
  readonly reason: Hold["reason"];
}

function spread(
  ledger: DeviceLedger,
  chosen: readonly LedgerDevice[],
  want: Spread,
): Result<Reservation, CortexError> {
  const totalFreeMib = sum(chosen.map(freeMib));
  if (want.requiredMib > totalFreeMib) return err(insufficient(chosen, want, totalFreeMib));
  const shares = new Map<number, number>();
  let remainingMib = want.requiredMib;
  for (const device of chosen) {
    // Rounded up, yet never above what is free: required/total is at most 1 and free is whole.
    const proportional =
      totalFreeMib === 0 ? 0 : Math.ceil((want.requiredMib * freeMib(device)) / totalFreeMib);
    const share = Math.min(proportional, remainingMib);
    shares.set(device.index, share);
    remainingMib -= share;
  }
  const next = ledger.map((device) => {
    const share = shares.get(device.index);
    if (share === undefined) return device;
    const hold: Hold = { holder: want.holder, heldMib: share, reason: want.reason };
    return { ...device, holds: [...device.holds, hold] };
  });
  return ok({ ledger: next, devices: [...shares.keys()].sort((left, right) => left - right) });
}

function insufficient(chosen: readonly LedgerDevice[], want: Spread, totalFreeMib: number): CortexError {
  const devices = chosen.map((device) => device.index);
  const holders = chosen.flatMap((device) => [
    ...device.holds.map((hold) => ({ device: device.index, holder: hold.holder, held_mb: hold.heldMib })),
    ...(device.foreignMib > 0 ? [{ device: device.index, holder: OTHERS, held_mb: device.foreignMib }] : []),
  ]);
  const capacityMib = sum(chosen.map((device) => device.totalMib));
  const verb = want.reason === "measured" ? "uses" : "needs";
  const where = `device${devices.length === 1 ? "" : "s"} ${devices.join(" and ")}`;
  const message =
    `${want.holder} ${verb} ${formatMib(want.requiredMib)} and ${where} has ${formatMib(totalFreeMib)} free ` +
    `of ${formatMib(capacityMib)}${holdersText(holders)}`;
  return new CortexError("insufficient_vram", message, {
    details: {
      device: devices[0] ?? null,
      devices,
      required_mb: want.requiredMib,
      free_mb: totalFreeMib,
      total_mb: capacityMib,
      holders,
    },
    ...nextStep(want, { capacityMib, largest: largestOf(holders) }),
  });
}

interface Held {
  readonly holder: string;
  readonly held_mb: number;
}

const OTHERS = "other processes";
const TOLD_HOLDERS = 3;

/** Largest first, over all devices in question. */
function sumByHolder(holders: readonly Held[]): readonly Held[] {
  const total = new Map<string, number>();
  for (const { holder, held_mb: mib } of holders) total.set(holder, (total.get(holder) ?? 0) + mib);
  return [...total]
    .map(([holder, held_mb]) => ({ holder, held_mb }))
    .toSorted((left, right) => right.held_mb - left.held_mb);
}

const largestOf = (holders: readonly Held[]): Held | undefined => sumByHolder(holders)[0];

function holdersText(holders: readonly Held[]): string {
  const all = sumByHolder(holders);
  if (all.length === 0) return "";
  const told = all
    .slice(0, TOLD_HOLDERS)
    .map(({ holder, held_mb: mib }) => `${holder} ${holder === OTHERS ? "use" : "holds"} ${formatMib(mib)}`);
  const more = all.length > TOLD_HOLDERS ? `, and ${all.length - TOLD_HOLDERS} more` : "";
  return ` (${told.join(", ")}${more})`;
}

function nextStep(
  want: Spread,
  { capacityMib, largest }: { readonly capacityMib: number; readonly largest: Held | undefined },
): { readonly next?: string; readonly retryAfterSecs?: null } {
  if (want.requiredMib > capacityMib) {
    return {
      next: "this never fits here: lower context or parallel, spread it with min_devices, or place it elsewhere",
      retryAfterSecs: null,
    };
  }
  if (want.reason === "measured") {
    return {
      next: `declare vram_mb = ${want.requiredMib} for the model, so that room is made before it loads`,
    };
  }
  if (largest?.holder === OTHERS) {
    return { next: "end what else uses the device (nvidia-smi shows it), or declare a smaller model" };
  }
  return largest === undefined
    ? {}
    : {
        next: `unload ${largest.holder}, or declare a smaller model; POST /models/swap lets one give way to the other`,
      };
}
