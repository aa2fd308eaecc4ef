import { describe, expect, test } from "vitest";
import {
  freeMib,
  heldByMib,
  observeUsedMib,
  release,
  reserve,
  recordMeasured,
} from "../../../src/neuron/residency/device-ledger.ts";
import { devicesOf } from "../../support/neuron/residency-builders.ts";

const ask = (requiredMib: number, minDevices = 1, devices?: readonly number[]) => ({
  holder: "m",
  requiredMib,
  minDevices,
  devices,
});

describe("which devices are chosen", () => {
  test.each([
    { totals: [100, 300, 200], minDevices: 1, named: undefined, devices: [1] },
    { totals: [100, 300, 300], minDevices: 1, named: undefined, devices: [1] },
    { totals: [100, 300, 200], minDevices: 2, named: undefined, devices: [1, 2] },
    { totals: [100, 300, 200], minDevices: 1, named: [2, 0], devices: [0, 2] },
    { totals: [100, 300, 200], minDevices: 1, named: [], devices: [1] },
  ])("of $totals with min_devices $minDevices and $named", ({ totals, minDevices, named, devices }) => {
    const reservation = reserve(devicesOf(...totals), ask(50, minDevices, named));
    expect(reservation).toMatchObject({ ok: true, value: { devices } });
  });

  test("a model is spread in proportion to what is free, to the last MiB", () => {
    const reservation = reserve(devicesOf(32_000, 12_000), ask(30_001, 2));
    const held = reservation.ok
      ? reservation.value.ledger.map((device) => device.holds[0]?.heldMib ?? 0)
      : [];
    expect(held).toEqual([21_819, 8_182]);
    expect(reserve(devicesOf(10, 10), ask(20, 2)).ok).toBe(true);
    expect(reserve(devicesOf(10, 10), ask(21, 2)).ok).toBe(false);
  });
});

describe("parts of a card", () => {
  const [whole, ...parts] = devicesOf(100, 300, 200);
  const ledger = [
    ...(whole === undefined ? [] : [whole]),
    ...parts.map((part) => ({ ...part, isPart: true as const })),
  ];

  test.each([
    { what: "the one with most memory", request: ask(50), devices: [1] },
    { what: "the one that is named", request: ask(50, 1, [2]), devices: [2] },
  ])("are taken one by one: $what", ({ request, devices }) => {
    expect(reserve(ledger, request)).toMatchObject({ ok: true, value: { devices } });
  });

  test.each([
    { what: "several devices", request: ask(50, 2), code: "no_feasible_neuron" },
    { what: "a part beside another device", request: ask(50, 1, [0, 1]), code: "invalid_request_body" },
  ])("are not spread over: $what", ({ request, code }) => {
    expect(reserve(ledger, request)).toMatchObject({ ok: false, error: { code } });
  });
});

describe("a promise", () => {
  test("is replaced by the measurement and taken back as a whole", () => {
    const reserved = reserve(devicesOf(1000), ask(600));
    const ledger = reserved.ok ? reserved.value.ledger : [];
    const settled = recordMeasured(ledger, { holder: "m", measuredMib: 900, devices: [0] });
    const measured = settled.ok ? settled.value.ledger : [];
    expect(heldByMib(measured, "m")).toBe(900);
    expect(measured[0]?.holds).toEqual([{ holder: "m", heldMib: 900, reason: "measured" }]);
    expect(recordMeasured(ledger, { holder: "m", measuredMib: 1001, devices: [0] }).ok).toBe(false);
    expect(release(measured, "m").map(freeMib)).toEqual([1000]);
  });

  test("that never fits says so; one that may fit later says what holds the memory", () => {
    const never = reserve(devicesOf(1000), ask(1001));
    expect(never).toMatchObject({ ok: false, error: { code: "insufficient_vram" } });
    expect(never.ok ? "" : never.error.next).toContain("never fits");
    const full = reserve(devicesOf(1000), ask(900));
    const later = reserve(full.ok ? full.value.ledger : [], { ...ask(200), holder: "n" });
    expect(later.ok ? "" : later.error.message).toBe(
      "n needs 200 MiB and device 0 has 100 MiB free of 1000 MiB (m holds 900 MiB)",
    );
    expect(later.ok ? "" : later.error.next).toContain("unload m");
    const foreign = reserve(observeUsedMib(devicesOf(1000), new Map([[0, 950]])), ask(200));
    expect(foreign.ok ? "" : foreign.error.message).toContain("(other processes use 950 MiB)");
    expect(foreign.ok ? "" : foreign.error.next).toContain("nvidia-smi");
  });
});

describe("memory of others", () => {
  test.each([
    { used: 0, foreign: 0 },
    { used: 400, foreign: 0 },
    { used: 650, foreign: 50 },
    { used: 5000, foreign: 1000 },
  ])("of $used MiB used beside 600 promised, $foreign are foreign", ({ used, foreign }) => {
    const reserved = reserve(devicesOf(1000), ask(600));
    const observed = observeUsedMib(reserved.ok ? reserved.value.ledger : [], new Map([[0, used]]));
    expect(observed[0]?.foreignMib).toBe(foreign);
    expect(observed.map(freeMib)).toEqual([Math.max(0, 400 - foreign)]);
  });

  test("an unread device stays as it was", () => {
    const ledger = observeUsedMib(devicesOf(1000, 1000), new Map([[0, 300]]));
    expect(observeUsedMib(ledger, new Map()).map(freeMib)).toEqual([700, 1000]);
  });
});
