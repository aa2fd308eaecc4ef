import { readdirSync, readFileSync } from "node:fs";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { pino } from "pino";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { DeviceReading } from "../../../src/neuron/machine/describe-device.ts";
import { cpuDevice, createGpuProbe } from "../../../src/neuron/machine/io/gpu-probe.ts";
import { readEnvironment } from "../../../src/platform/environment.ts";
import type { Device } from "../../../src/protocol/neuron-api.ts";
import { ManualClock } from "../../support/manual-clock.ts";

const FIXTURES = fileURLToPath(new URL("../../fixtures/nvidia-smi/", import.meta.url));
const TOOL = fileURLToPath(new URL("../../support/neuron/recorded-nvidia-smi.sh", import.meta.url));

const recorded = readdirSync(FIXTURES, { recursive: true, encoding: "utf8" })
  .filter((path) => path.endsWith(".txt"))
  .toSorted();

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "cortex-test-recorded-"));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

/** A probe whose tool answers as that of a machine did, and what it has warned of. */
async function probeOf(path: string) {
  const nvidiaSmi = join(directory, path.replaceAll("/", "-"));
  await writeFile(nvidiaSmi, `#!/bin/sh\nexec "${TOOL}" "${join(FIXTURES, path)}" "$@"\n`);
  await chmod(nvidiaSmi, 0o755);
  const warned: string[] = [];
  const logger = pino(
    { level: "warn" },
    { write: (line: string) => warned.push((JSON.parse(line) as { problem?: string }).problem ?? line) },
  );
  const { inherited: environment } = readEnvironment();
  return { probe: createGpuProbe({ clock: new ManualClock(), logger, nvidiaSmi, environment }), warned };
}

const orDash = (value: number | string | null): string => String(value ?? "-");

function deviceLine(device: Device, reading: DeviceReading): string {
  const { usedMib, freeMib, utilizationPct, temperatureC } = reading;
  const isHost =
    device.vram_total_mb === cpuDevice().vram_total_mb && usedMib + freeMib === device.vram_total_mb;
  const [total, used, free] = isHost ? ["host", "host", "host"] : [device.vram_total_mb, usedMib, freeMib];
  const part = device.part_of === undefined ? "" : `, ${device.uuid} of ${device.part_of}`;
  return (
    `device ${device.index} ${device.name}, ${orDash(device.compute_capability)}, ${total} MiB, ` +
    `${used} used, ${free} free, ${orDash(utilizationPct)} %, ${orDash(temperatureC)} C${part}`
  );
}

test.each(recorded)("%s is understood", async (path) => {
  const { probe, warned } = await probeOf(path);
  const { devices, driverVersion, cudaUnavailableReason } = await probe.discover();
  const readings = await probe.readings();
  const lines = devices.flatMap((device) => {
    const reading = readings.find(({ index }) => index === device.index);
    return device.kind === "cuda" && reading !== undefined ? [deviceLine(device, reading)] : [];
  });
  const found = [
    ...(driverVersion === null ? [] : [`driver ${driverVersion}`]),
    ...lines,
    ...(cudaUnavailableReason === null ? [] : [`reason ${cudaUnavailableReason}`]),
    ...warned.map((problem) => `problem ${problem}`),
  ];
  const [, expected = ""] = readFileSync(join(FIXTURES, path), "utf8").split("## expected\n");
  expect(found.join("\n")).toBe(expected.trim());
  // Whoever is listed once is not lost at the next look.
  await probe.usedMib();
  await probe.usedMib();
  expect([...probe.lost()]).toEqual([]);
});
