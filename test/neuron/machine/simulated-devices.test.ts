import { expect, test } from "vitest";
import { parseSimulatedDevices } from "../../../src/neuron/machine/simulated-devices.ts";

const read = (text: string) => {
  const devices = parseSimulatedDevices(text);
  return devices.ok
    ? devices.value.map(({ index, name, vram_total_mb: mib, kind }) => `${index} ${kind} ${mib} ${name}`)
    : devices.error;
};

test.each([
  ["2x32GiB RTX 5090", ["0 simulated 32768 RTX 5090", "1 simulated 32768 RTX 5090"]],
  ["24 GiB RTX 4090, 12GiB RTX 3060", ["0 simulated 24576 RTX 4090", "1 simulated 12288 RTX 3060"]],
  ["1.5gib", ["0 simulated 1536 GPU"]],
  ["3 x 512 MiB T", ["0 simulated 512 T", "1 simulated 512 T", "2 simulated 512 T"]],
])("%s", (text, expected) => {
  expect(read(text)).toEqual(expected);
});

test.each(["", "RTX 5090", "2x RTX", "32GB RTX", "0x32GiB", "0GiB a", "32GiB a,", "x32GiB"])(
  "%j is refused with an example",
  (text) => {
    expect(read(text)).toMatchObject({
      code: "usage_error",
      next: expect.stringContaining("2x32GiB RTX 5090") as string,
    });
  },
);

test("a number of devices that no machine has is refused", () => {
  expect(read("65x1GiB")).toMatchObject({ code: "usage_error" });
});
