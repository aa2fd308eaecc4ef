import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { judgeMachine, type MachineFacts } from "../../src/doctor/judge-machine.ts";
import type { Device } from "../../src/protocol/neuron-api.ts";

const GIB = 1024 ** 3;
const FAILURES = new URL("../fixtures/nvidia-smi/failures/", import.meta.url);

const card: Device = {
  index: 0,
  uuid: "GPU-0",
  kind: "cuda",
  name: "RTX 4090",
  vram_total_mb: 24_576,
  compute_capability: "8.9",
};

const directory = {
  path: "/srv/models",
  exists: true,
  isReadable: true,
  isWritable: true,
  freeBytes: 500 * GIB,
};

const sound: MachineFacts = {
  nodeVersion: "24.21.0",
  neededNode: ">=24",
  engine: { needed: "3.22.1", installed: "3.22.1" },
  driverVersion: "570.10",
  cudaUnavailableReason: null,
  devices: [card],
  deviceFiles: [{ path: "/dev/nvidia0", isUsable: true }],
  visibleDevices: undefined,
  user: "ann",
  dataDirectory: { ...directory, path: "/home/ann/cortex" },
  modelRoots: [directory],
  tokenFiles: [{ path: "neuron.token", problem: null }],
  ports: [{ address: "127.0.0.1:13131", purpose: "neuron", holder: { kind: "free" } }],
  certificates: [],
  nowMs: 0,
};

const unwell = (changes: Partial<MachineFacts>) =>
  judgeMachine({ ...sound, ...changes })
    .filter(({ status }) => status === "problem" || status === "warning")
    .map(({ status, check }) => `${status} ${check}`);

test("a sound machine has nothing to mend, and each thing is named once", () => {
  const findings = judgeMachine(sound);
  expect(unwell({})).toEqual([]);
  expect(findings.map(({ check }) => check)).toEqual([
    "node",
    "engine",
    "driver",
    "device-permissions",
    "data-directory",
    "model-root",
    "token-file",
    "port",
  ]);
});

const CASES: readonly (readonly [what: string, changes: Partial<MachineFacts>, found: string])[] = [
  ["an old Node", { nodeVersion: "20.20.2" }, "problem node"],
  ["no engine", { engine: { needed: "3.22.1", installed: null } }, "warning engine"],
  ["another engine", { engine: { needed: "3.22.1", installed: "3.0.0" } }, "problem engine"],
  ["a driver that fails", { cudaUnavailableReason: "Driver/library version mismatch" }, "problem driver"],
  ["an old driver", { driverVersion: "470.82.01" }, "problem driver"],
  ["devices that are hidden", { visibleDevices: "1" }, "warning cuda-visibility"],
  ["a card without a device file", { deviceFiles: [] }, "problem device-permissions"],
  [
    "a device file of others",
    { deviceFiles: [{ path: "/dev/nvidia0", isUsable: false }] },
    "problem device-permissions",
  ],
  ["data of others", { dataDirectory: { ...directory, isWritable: false } }, "problem data-directory"],
  ["a full disk", { modelRoots: [{ ...directory, freeBytes: GIB / 2 }] }, "problem model-root"],
  ["a nearly full disk", { modelRoots: [{ ...directory, freeBytes: 10 * GIB }] }, "warning model-root"],
  ["a root that cannot be read", { modelRoots: [{ ...directory, isReadable: false }] }, "problem model-root"],
  [
    "a root that cannot be made",
    { modelRoots: [{ ...directory, exists: false, isReadable: false, isWritable: false }] },
    "problem model-root",
  ],
  [
    "a token that others read",
    { tokenFiles: [{ path: "t", problem: { message: "0644", next: "chmod 600 t" } }] },
    "problem token-file",
  ],
  [
    "a port of another program",
    { ports: [{ address: "127.0.0.1:31313", purpose: "gateway", holder: { kind: "other" } }] },
    "problem port",
  ],
  [
    "an address of another machine",
    {
      ports: [
        { address: "10.9.9.9:1", purpose: "gateway", holder: { kind: "forbidden", reason: "EADDRNOTAVAIL" } },
      ],
    },
    "problem port",
  ],
];

describe("one thing is wrong", () => {
  test.each(CASES)("%s", (_what, changes, found) => {
    expect(unwell(changes)).toEqual([found]);
    const mends = judgeMachine({ ...sound, ...changes }).flatMap(({ status, mend }) =>
      status === "problem" || status === "warning" ? [mend] : [],
    );
    expect(mends.filter((mend) => mend === undefined || mend === "")).toEqual([]);
  });
});

test("a machine without a card, and a port that cortex has itself, are well", () => {
  const changes: Partial<MachineFacts> = {
    driverVersion: null,
    deviceFiles: [],
    visibleDevices: "0",
    ports: [{ address: "127.0.0.1:31313", purpose: "gateway", holder: { kind: "cortex" } }],
  };
  expect(unwell(changes)).toEqual([]);
});

test("a card without NVIDIA's driver is one all the same", () => {
  const radeon: Device = { ...card, kind: "vulkan", name: "Radeon" };
  const findings = judgeMachine({ ...sound, driverVersion: null, deviceFiles: [], devices: [radeon] });
  expect(findings.find(({ check }) => check === "driver")).toMatchObject({
    status: "ok",
    message: "vulkan: Radeon 24.0 GiB",
  });
});

/** What recorded machines said, of which some mend is known. */
const recordedReasons = readdirSync(FAILURES).flatMap((name) => {
  const [, reason] = /^reason (.*)$/m.exec(readFileSync(new URL(name, FAILURES), "utf8")) ?? [];
  return reason === undefined ? [] : [reason];
});

test.each(recordedReasons)("it is said what to do where %s", (cudaUnavailableReason) => {
  const [driver] = judgeMachine({ ...sound, driverVersion: null, cudaUnavailableReason }).filter(
    ({ check }) => check === "driver",
  );
  expect(driver).toMatchObject({ status: "problem", message: cudaUnavailableReason });
  expect(driver?.mend).not.toBe("run nvidia-smi by hand, and see dmesg");
});

test("a read-only store is no fault: models may be put there by hand", () => {
  expect(unwell({ modelRoots: [{ ...directory, isWritable: false }] })).toEqual([]);
});
