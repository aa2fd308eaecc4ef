import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createGpuProbe } from "../../../src/neuron/machine/io/gpu-probe.ts";
import { readEnvironment } from "../../../src/platform/environment.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import { writeFakeModel } from "../../support/neuron/fake-worker-model.ts";
import { startTestNeuron, type WireError } from "../../support/neuron/neuron-under-test.ts";
import type { Discovery, Health } from "../../../src/protocol/neuron-api.ts";

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "cortex-test-smi-"));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

/** A driver's tool made of shell; the answer is read from a file, so that a test can change it. */
async function fakeSmi(name: string, script: string): Promise<string> {
  const path = join(directory, name);
  await writeFile(path, `#!/bin/sh\n${script}\n`);
  await chmod(path, 0o755);
  return path;
}

const probeOf = (nvidiaSmi: string, clock = new ManualClock()) =>
  createGpuProbe({
    clock,
    logger: pino({ level: "silent" }),
    nvidiaSmi,
    environment: readEnvironment().inherited,
  });

const card = (index: number, used: number): string =>
  `${index}, GPU-${index}, Card ${index}, 1000, ${used}, ${1000 - used}, 7, 50, 580.1, 9.0`;

const twoCards = () => fakeSmi("two", `echo "${card(0, 700)}"; echo "${card(1, 100)}"`);

describe("discovery", () => {
  test("without the tool the machine is one CPU, with nothing to explain", async () => {
    expect(await probeOf(join(directory, "absent")).discover()).toMatchObject({
      devices: [{ kind: "cpu" }],
      cudaUnavailableReason: null,
    });
  });

  test("a tool that fails is explained in its own words", async () => {
    const smi = await fakeSmi("failing", 'echo "NVIDIA-SMI has failed: no driver"; exit 9');
    expect(await probeOf(smi).discover()).toMatchObject({
      devices: [{ kind: "cpu" }],
      cudaUnavailableReason: "nvidia-smi failed: NVIDIA-SMI has failed: no driver",
    });
    const empty = await fakeSmi("empty", "exit 0");
    expect((await probeOf(empty).discover()).cudaUnavailableReason).toBe("nvidia-smi lists no device");
  });

  test("an old driver is asked again without compute_cap", async () => {
    const smi = await fakeSmi(
      "old",
      `case "$1" in *compute_cap*) echo 'Field "compute_cap" is not a valid field to query.'; exit 2;; esac\necho "0, GPU-0, Old, 1000, 0, 1000, 0, 30, 390.1"`,
    );
    expect(await probeOf(smi).discover()).toMatchObject({
      driverVersion: "390.1",
      devices: [{ kind: "cuda", name: "Old", compute_capability: null }],
    });
  });
});

test("readings are at most a second old, fresh ones are never cached, a failing tool keeps the last", async () => {
  const answer = join(directory, "answer");
  const smi = await fakeSmi("changing", `cat ${answer} || exit 1`);
  const clock = new ManualClock();
  const probe = probeOf(smi, clock);
  await writeFile(answer, card(0, 100));
  await probe.discover();
  await writeFile(answer, card(0, 200));
  expect((await probe.readings())[0]?.usedMib).toBe(100);
  await clock.advance(1001);
  expect((await probe.readings())[0]?.usedMib).toBe(200);
  await writeFile(answer, card(0, 300));
  expect(await probe.usedMib()).toEqual(new Map([[0, 300]]));
  await rm(answer);
  await clock.advance(1001);
  expect((await probe.readings())[0]?.usedMib).toBe(300);
});

describe("a neuron with two cards", () => {
  test("places a model on the card with more room and shows its worker only that one", async () => {
    await using neuron = await startTestNeuron(
      { nvidiaSmi: await twoCards() },
      { environment: { ...readEnvironment().inherited, MY_API_KEY: "secret" } },
    );
    const model = writeFakeModel(neuron.store, "alpha");
    expect((await neuron.load({ model_id: "alpha", vram_mb: 500 })).status).toBe(200);
    expect((await neuron.models()).models[0]).toMatchObject({ devices: [1] });
    const start = JSON.parse(model.events()[0]?.replace("start ", "") ?? "{}") as Record<string, unknown>;
    expect(start).toMatchObject({ gpu: true, cuda: "GPU-1", secret: null });
    const discovery = await neuron.call<Discovery>("/discovery");
    expect(discovery.body).toMatchObject({
      driver_version: "580.1",
      devices: [{ kind: "cuda" }, { kind: "cuda" }],
    });
    const health = await neuron.call<Health>("/health");
    expect(health.body.devices).toEqual([
      { index: 0, vram_used_mb: 700, vram_free_mb: 300, utilization_pct: 7, temp_c: 50 },
      { index: 1, vram_used_mb: 100, vram_free_mb: 900, utilization_pct: 7, temp_c: 50 },
    ]);
  });

  test("counts what other processes use, and spreads over both when asked", async () => {
    await using neuron = await startTestNeuron({ nvidiaSmi: await twoCards() });
    writeFakeModel(neuron.store, "wide", { memoryBytes: 1200 * 1024 * 1024 });
    const one = await neuron.load<WireError>({ model_id: "wide", vram_mb: 950 });
    expect(one.body.error).toMatchObject({
      code: "insufficient_vram",
      device: 1,
      free_mb: 900,
      holders: [{ device: 1, holder: "other processes", held_mb: 100 }],
    });
    expect((await neuron.load({ model_id: "wide", vram_mb: 950, min_devices: 2 })).status).toBe(200);
    expect((await neuron.models()).models[0]).toMatchObject({ devices: [0, 1], vram_used_mb: 1200 });
  });
});
