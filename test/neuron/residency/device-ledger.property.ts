import fc from "fast-check";
import { expect, test } from "vitest";
import {
  freeMib,
  heldByMib,
  heldMib,
  observeUsedMib,
  release,
  reserve,
} from "../../../src/neuron/residency/device-ledger.ts";
import { devicesOf } from "../../support/neuron/residency-builders.ts";

const sizeMib = fc.integer({ min: 0, max: 100_000 });

test("a promise holds exactly what was asked, never more than is free, and goes without a trace", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(sizeMib, sizeMib), { minLength: 1, maxLength: 8 }),
      sizeMib,
      fc.integer({ min: 1, max: 8 }),
      (devices, requiredMib, minDevices) => {
        const used = new Map(devices.map(([, usedMib], index) => [index, usedMib]));
        const ledger = observeUsedMib(devicesOf(...devices.map(([total]) => total)), used);
        const reservation = reserve(ledger, { holder: "m", requiredMib, minDevices, devices: undefined });
        const most = ledger
          .map(freeMib)
          .sort((left, right) => right - left)
          .slice(0, minDevices)
          .reduce((total, free) => total + free, 0);
        expect(reservation.ok).toBe(minDevices <= devices.length && requiredMib <= most);
        if (!reservation.ok) return;
        expect(heldByMib(reservation.value.ledger, "m")).toBe(requiredMib);
        expect(reservation.value.devices).toHaveLength(minDevices);
        for (const device of reservation.value.ledger) {
          expect(heldMib(device)).toBeLessThanOrEqual(Math.max(0, device.totalMib - device.foreignMib));
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
        .array(sizeMib, { minLength: 1, maxLength: 6 })
        .chain((totals) =>
          fc.tuple(
            fc.constant(devicesOf(...totals)),
            fc.shuffledSubarray(devicesOf(...totals), { minLength: totals.length }),
          ),
        ),
      fc.integer({ min: 1, max: 6 }),
      ([ordered, shuffled], minDevices) => {
        const question = { holder: "m", requiredMib: 0, minDevices, devices: undefined };
        const left = reserve(ordered, question);
        const right = reserve(shuffled, question);
        expect(left.ok && left.value.devices).toEqual(right.ok && right.value.devices);
      },
    ),
  );
});
