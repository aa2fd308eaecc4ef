import { readFileSync } from "node:fs";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createGpuProbe } from "../../../src/neuron/machine/io/gpu-probe.ts";
import { readEnvironment } from "../../../src/platform/environment.ts";
import { eventually } from "../../support/eventually.ts";
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
  `${index}, GPU-${index}, Card ${index}, 1000, ${used}, ${1000 - used}, 7, 50, 580.1, 9.0, [N/A]`;

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

  test("a tool that this user may not run is not taken for one that is not there", async () => {
    const smi = join(directory, "forbidden");
    await writeFile(smi, "#!/bin/sh\nexit 0\n");
    await chmod(smi, 0o644);
    expect(await probeOf(smi).discover()).toMatchObject({
      devices: [{ kind: "cpu" }],
      cudaUnavailableReason: `this user may not run ${smi} (EACCES): the driver may be there, and its devices cannot be seen`,
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

/** The text of a recorded machine, played by a file that a test can change. */
async function recordedSmi(fixture: string) {
  const text = readFileSync(new URL(`../../fixtures/nvidia-smi/${fixture}`, import.meta.url), "utf8");
  const played = join(directory, "played.txt");
  await writeFile(played, text);
  const tool = fileURLToPath(new URL("../../support/neuron/recorded-nvidia-smi.sh", import.meta.url));
  const nvidiaSmi = await fakeSmi("recorded", `exec ${tool} ${played} "$@"`);
  return { text, nvidiaSmi, play: (changed: string) => writeFile(played, changed) };
}

const FIRST_PART = "MIG-feb88891-0321-5fef-9c87-d4af3b540015";
const SECOND_PART = "MIG-a25704ba-3a06-5299-a795-fd7cf4d10016";

describe("a card that is divided (MIG)", () => {
  test("gives each model one part, which alone its worker sees, and no model two", async () => {
    const { nvidiaSmi } = await recordedSmi("partitions/two-of-one-card.txt");
    await using neuron = await startTestNeuron({ nvidiaSmi });
    const started = [];
    for (const [id, mib] of [
      ["alpha", 15_000],
      ["beta", 5000],
    ] as const) {
      const model = writeFakeModel(neuron.store, id, { memoryBytes: mib * 1024 * 1024 });
      expect((await neuron.load({ model_id: id, vram_mb: mib })).status).toBe(200);
      started.push(JSON.parse(model.events()[0]?.replace("start ", "") ?? "{}"));
    }
    expect((await neuron.models()).models.map(({ devices }) => devices)).toEqual([[100], [101]]);
    expect(started).toMatchObject([{ cuda: FIRST_PART }, { cuda: SECOND_PART }]);
    writeFakeModel(neuron.store, "wide");
    const wide = await neuron.load<WireError>({ model_id: "wide", vram_mb: 10, min_devices: 2 });
    expect(wide.body.error).toMatchObject({
      code: "no_feasible_neuron",
      message: expect.stringContaining("the 2 parts of cards (MIG) left out") as string,
    });
    const named = await neuron.load<WireError>({ model_id: "wide", vram_mb: 10, devices: [100, 101] });
    expect(named).toMatchObject({ status: 422, body: { error: { code: "invalid_request_body" } } });
    const large = await neuron.load<WireError>({ model_id: "wide", vram_mb: 19_000 });
    expect(large.body.error).toMatchObject({ code: "insufficient_vram", total_mb: 19_968 });
  });

  test("and divided anew loses the part that is gone, and what was on it", async () => {
    const { nvidiaSmi, text, play } = await recordedSmi("partitions/two-of-one-card.txt");
    const probe = probeOf(nvidiaSmi);
    await probe.discover();
    const [start = "", rest = ""] = text.split("\t\t\t<mig_device>\n\t\t\t\t<index>1");
    await play(start + rest.slice(rest.indexOf("</mig_device>") + "</mig_device>".length));
    await probe.usedMib();
    expect([...probe.lost()]).toEqual([]);
    expect(await probe.usedMib()).toEqual(new Map([[100, 19]]));
    expect([...probe.lost()]).toEqual([101]);
  });
});

describe("a card that falls off the bus", () => {
  const LOST =
    "Unable to determine the device handle for GPU0000:02:00.0: GPU is lost.  Reboot the system to recover this GPU";
  /** As the tool does it: one card that is lost fails the question for all, and each can be asked alone. */
  const losing = (flag: string) =>
    fakeSmi(
      "losing",
      `if [ ! -e ${flag} ]; then echo "${card(0, 100)}"; echo "${card(1, 100)}"; exit 0; fi
case "$1" in
  --id=GPU-0) echo "${card(0, 150)}" ;;
  *) echo "${LOST}"; exit 15 ;;
esac`,
    );

  test("is told after two looks; the other one is read on", async () => {
    const flag = join(directory, "lost-1");
    const clock = new ManualClock();
    const probe = probeOf(await losing(flag), clock);
    await probe.discover();
    await writeFile(flag, "");
    await probe.usedMib();
    expect([...probe.lost()]).toEqual([]);
    expect(await probe.usedMib()).toEqual(new Map([[0, 150]]));
    expect([...probe.lost()]).toEqual([1]);
  });

  test.each([
    [
      "the driver was changed under it",
      "echo 'Failed to initialize NVML: Driver/library version mismatch'; exit 18",
    ],
    ["the tool is broken", "exit 1"],
  ])("is not believed where %s", async (_what, script) => {
    const flag = join(directory, `broken-${script.length}`);
    const smi = await fakeSmi(
      "breaking",
      `if [ ! -e ${flag} ]; then echo "${card(0, 100)}"; exit 0; fi\n${script}`,
    );
    const probe = probeOf(smi);
    await probe.discover();
    await writeFile(flag, "");
    for (const usedMib of [100, 100, 100]) expect(await probe.usedMib()).toEqual(new Map([[0, usedMib]]));
    expect([...probe.lost()]).toEqual([]);
  });

  test("takes its model along, which comes back on the other; nothing is placed on it again", async () => {
    const flag = join(directory, "lost-2");
    await using neuron = await startTestNeuron({ nvidiaSmi: await losing(flag) });
    const size = { memoryBytes: 300 * 1024 * 1024 };
    writeFakeModel(neuron.store, "alpha", size);
    await neuron.load({ model_id: "alpha", vram_mb: 300 });
    writeFakeModel(neuron.store, "beta", size);
    await neuron.load({ model_id: "beta", vram_mb: 300 });
    const before = (await neuron.models()).models;
    const hit = before.find(({ devices }) => devices[0] === 1);
    await writeFile(flag, "");
    await eventually(async () => {
      const { models } = await neuron.models();
      expect(models.map(({ status, devices }) => [status, devices])).toEqual([
        ["loaded", [0]],
        ["loaded", [0]],
      ]);
    });
    const after = (await neuron.models()).models;
    const kept = before.find(({ devices }) => devices[0] === 0);
    expect(after.find(({ id }) => id === kept?.id)?.pid).toBe(kept?.pid);
    expect(after.find(({ id }) => id === hit?.id)?.pid).not.toBe(hit?.pid);
    const { body } = await neuron.call<Discovery>("/discovery");
    expect(body.devices.map(({ index }) => index)).toEqual([0]);
    writeFakeModel(neuron.store, "gamma");
    const refused = await neuron.load<WireError>({ model_id: "gamma", vram_mb: 100, devices: [1] });
    expect(refused).toMatchObject({
      status: 503,
      body: { error: { code: "device_lost" } },
    });
  });
});

test("a driver that hangs holds up nobody who asks for the health", async () => {
  const flag = join(directory, "hangs");
  const smi = await fakeSmi("hanging", `if [ -e ${flag} ]; then sleep 4; fi\necho "${card(0, 100)}"`);
  await using neuron = await startTestNeuron({ nvidiaSmi: smi });
  await writeFile(flag, "");
  await eventually(async () => {
    const startedMs = performance.now();
    const { body } = await neuron.call<Health>("/health");
    expect(body.devices).toHaveLength(1);
    expect(performance.now() - startedMs).toBeLessThan(1500);
    expect(body.uptime_secs).toBeGreaterThan(1.2);
  });
});
