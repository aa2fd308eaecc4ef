import fc from "fast-check";
import { expect, test } from "vitest";
import {
  freeMb,
  heldByMb,
  heldMb,
  observeUsedMb,
  release,
  reserve,
} from "../../../src/neuron/residency/device-ledger.ts";
import { devicesOf } from "../../support/neuron/residency-builders.ts";

const sizeMb = fc.integer({ min: 0, max: 100_000 });

test("a promise holds exactly what was asked, never more than is free, and goes without a trace", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(sizeMb, sizeMb), { minLength: 1, maxLength: 8 }),
      sizeMb,
      fc.integer({ min: 1, max: 8 }),
      (devices, requiredMb, minDevices) => {
        const used = new Map(devices.map(([, usedMb], index) => [index, usedMb]));
        const ledger = observeUsedMb(devicesOf(...devices.map(([total]) => total)), used);
        const reservation = reserve(ledger, { holder: "m", requiredMb, minDevices, devices: undefined });
        const most = ledger
          .map(freeMb)
          .sort((left, right) => right - left)
          .slice(0, minDevices)
          .reduce((total, free) => total + free, 0);
        expect(reservation.ok).toBe(minDevices <= devices.length && requiredMb <= most);
        if (!reservation.ok) return;
        expect(heldByMb(reservation.value.ledger, "m")).toBe(requiredMb);
        expect(reservation.value.devices).toHaveLength(minDevices);
        for (const device of reservation.value.ledger) {
          expect(heldMb(device)).toBeLessThanOrEqual(Math.max(0, device.totalMb - device.foreignMb));
        }
        expect(release(reservation.value.ledger, "m")).toEqual(ledger);
      },
    ),
  );
});

test("the choice does not depend on the order in which devices are listed", () => {
  fc.assert(
    fc.property(
      fc
        .array(sizeMb, { minLength: 1, maxLength: 6 })
        .chain((totals) =>
          fc.tuple(
            fc.constant(devicesOf(...totals)),
            fc.shuffledSubarray(devicesOf(...totals), { minLength: totals.length }),
          ),
        ),
      fc.integer({ min: 1, max: 6 }),
      ([ordered, shuffled], minDevices) => {
        const question = { holder: "m", requiredMb: 0, minDevices, devices: undefined };
        const left = reserve(ordered, question);
        const right = reserve(shuffled, question);
        expect(left.ok && left.value.devices).toEqual(right.ok && right.value.devices);
      },
    ),
  );
});
