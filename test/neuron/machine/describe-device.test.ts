import { describe, expect, test } from "vitest";
import { describeCpuDevice, parseDeviceReport } from "../../../src/neuron/machine/describe-device.ts";

const GIB = 1024 ** 3;

describe("nvidia-smi", () => {
  test("two cards, one with values the driver does not know", () => {
    const report = parseDeviceReport(
      [
        "0, GPU-aa, NVIDIA GeForce RTX 5090, 32607, 512, 31500, 3, 41, 580.95.05, 12.0",
        "1, GPU-bb, NVIDIA GeForce RTX 3060, 12288, [N/A], [N/A], [Not Supported], [Unknown Error], 580.95.05, 8.6",
        "",
      ].join("\n"),
    );
    expect(report).toEqual({
      driverVersion: "580.95.05",
      problems: [],
      devices: [
        {
          index: 0,
          uuid: "GPU-aa",
          kind: "cuda",
          name: "NVIDIA GeForce RTX 5090",
          vram_total_mb: 32_607,
          compute_capability: "12.0",
        },
        {
          index: 1,
          uuid: "GPU-bb",
          kind: "cuda",
          name: "NVIDIA GeForce RTX 3060",
          vram_total_mb: 12_288,
          compute_capability: "8.6",
        },
      ],
      readings: [
        { index: 0, usedMib: 512, freeMib: 31_500, utilizationPct: 3, temperatureC: 41 },
        { index: 1, usedMib: 0, freeMib: 12_288, utilizationPct: null, temperatureC: null },
      ],
    });
  });

  test.each([
    { name: "too few columns", line: "1, GPU-bb, broken" },
    { name: "no total memory", line: "1, GPU-bb, X, [N/A], 1, 1, 1, 1, 580, 9.0" },
    {
      name: "an error in words",
      line: "Unable to determine the device handle for GPU0000:01:00.0: Unknown Error",
    },
    { name: "an index told twice", line: "0, GPU-bb, X, 100, 1, 99, 1, 1, 580, 9.0" },
  ])("one bad line ($name) does not lose the others", ({ line }) => {
    const report = parseDeviceReport(`0, GPU-aa, A, 100, 1, 99, 1, 1, 580, 9.0\r\n${line}\r\n`);
    expect(report.devices.map(({ index }) => index)).toEqual([0]);
    expect(report.problems).toHaveLength(1);
  });

  test("a name with a comma, and a driver without compute_cap", () => {
    const fields = ["index", "uuid", "name", "memory.total"] as const;
    const report = parseDeviceReport("0, GPU-aa, Board, rev 2, 100", fields);
    expect(report.devices[0]).toMatchObject({
      name: "Board, rev 2",
      vram_total_mb: 100,
      compute_capability: null,
    });
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
