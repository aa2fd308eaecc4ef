import { describe, expect, test } from "vitest";
import {
  describeCpuDevice,
  describeDevices,
  parseCards,
} from "../../../src/neuron/machine/describe-device.ts";

const GIB = 1024 ** 3;

const HOST = { physicalBytes: 128 * GIB, constrainedBytes: null, availableBytes: 100 * GIB };
const described = (output: string, availableBytes = HOST.availableBytes) =>
  describeDevices(parseCards(output), { partitions: [], host: { ...HOST, availableBytes } });

describe("a line of nvidia-smi", () => {
  test.each([
    { name: "too few columns", line: "1, GPU-bb, broken" },
    {
      name: "memory that is not understood",
      line: "1, GPU-bb, X, [Unknown Error], 1, 1, 1, 1, 580, 9.0, [N/A]",
    },
    {
      name: "an error in words",
      line: "Unable to determine the device handle for GPU0000:01:00.0: Unknown Error",
    },
    { name: "an index told twice", line: "0, GPU-bb, X, 100, 1, 99, 1, 1, 580, 9.0, [N/A]" },
  ])("that is bad ($name) does not lose the others", ({ line }) => {
    const report = described(`0, GPU-aa, A, 100, 1, 99, 1, 1, 580, 9.0, [N/A]\r\n${line}\r\n`);
    expect(report.devices.map(({ index }) => index)).toEqual([0]);
    expect(report.problems).toHaveLength(1);
  });

  test("has a name with a comma, of a driver without compute_cap", () => {
    const fields = ["index", "uuid", "name", "memory.total"] as const;
    expect(parseCards("0, GPU-aa, Board, rev 2, 100", fields).cards[0]).toMatchObject({
      name: "Board, rev 2",
      memory: { totalMib: 100, usedMib: 0, freeMib: 100 },
      computeCapability: null,
    });
  });
});

describe("a GPU without memory of its own", () => {
  const line = "0, GPU-aa, NVIDIA GB10, [N/A], [N/A], [N/A], 0, 38, 580, 12.1, [N/A]";
  const totalMib = 117_964;

  test.each([
    { what: "the system keeps within its share", availableGib: 120, usedMib: 0 },
    { what: "others use 27 GiB beyond it", availableGib: 88, usedMib: totalMib - 88 * 1024 },
    { what: "nothing is left", availableGib: 0, usedMib: totalMib },
  ])("takes from the machine's: $what", ({ availableGib, usedMib }) => {
    const { devices, readings } = described(line, availableGib * GIB);
    expect(devices).toMatchObject([{ kind: "cuda", name: "NVIDIA GB10", vram_total_mb: totalMib }]);
    expect(readings).toMatchObject([{ usedMib, freeMib: totalMib - usedMib }]);
  });
});

describe("a machine without a GPU", () => {
  test.each([
    { physical: 64 * GIB, constrained: null, expected: 58_982 },
    { physical: 64 * GIB, constrained: 8 * GIB, expected: 7168 },
    { physical: 64 * GIB, constrained: 2 ** 64, expected: 58_982 },
    { physical: GIB, constrained: null, expected: 512 },
  ])(
    "with $physical bytes limited to $constrained offers $expected MiB",
    ({ physical, constrained, expected }) => {
      const device = describeCpuDevice(
        { physicalBytes: physical, constrainedBytes: constrained },
        "Some CPU",
      );
      expect(device).toMatchObject({ index: 0, kind: "cpu", name: "Some CPU", vram_total_mb: expected });
    },
  );
});
