import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createMachineProbe } from "../../../src/neuron/machine/io/machine-probe.ts";
import { readEnvironment } from "../../../src/platform/environment.ts";
import { engineDevicesEntryFile } from "../../../src/platform/package-paths.ts";
import type { Discovery, Health } from "../../../src/protocol/neuron-api.ts";
import type { EngineDevices } from "../../../src/protocol/worker-messages.ts";
import { eventually } from "../../support/eventually.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import { writeFakeModel } from "../../support/neuron/fake-worker-model.ts";
import { startTestNeuron } from "../../support/neuron/neuron-under-test.ts";

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "cortex-test-engine-"));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

const GIB = 1024 ** 3;
const RADEON: EngineDevices = {
  gpu: "vulkan",
  names: ["AMD Radeon RX 7900 XTX (RADV NAVI31)"],
  total_bytes: 24 * GIB,
  used_bytes: GIB,
};

/** A program that answers what is in a file, and notes each time that it is asked. */
async function fakeEngine(name: string, answer: unknown = RADEON) {
  const [entry, said, asked] = ["js", "said", "asked"].map((end) => join(directory, `${name}.${end}`));
  if (entry === undefined || said === undefined || asked === undefined) throw new Error("no names");
  await writeFile(asked, "");
  const says = (what: unknown) => writeFile(said, typeof what === "string" ? what : JSON.stringify(what));
  await says(answer);
  await writeFile(
    entry,
    `import { appendFileSync, readFileSync } from "node:fs";
appendFileSync(${JSON.stringify(asked)}, "x");
const said = readFileSync(${JSON.stringify(said)}, "utf8");
if (said === "crash") process.kill(process.pid, "SIGSEGV");
console.log(process.env.MY_API_KEY ?? "a line of a driver");
console.log(said);`,
  );
  return { entry, says, timesAsked: async () => (await readFile(asked, "utf8")).length };
}

const probeOf = (entry: string | undefined, more: { usesGpu?: boolean; clock?: ManualClock } = {}) =>
  createMachineProbe({
    clock: more.clock ?? new ManualClock(),
    logger: pino({ level: "silent" }),
    nvidiaSmi: "no-such-nvidia-smi",
    environment: { ...readEnvironment().inherited, MY_API_KEY: "{}" },
    usesGpu: more.usesGpu ?? true,
    engine: entry === undefined ? null : { entry, environment: readEnvironment().inherited },
  });

describe("a machine whose GPU only the engine knows", () => {
  test.each([
    {
      what: "a card by Vulkan",
      said: RADEON,
      device: { kind: "vulkan", uuid: "vulkan-0", name: RADEON.names[0], vram_total_mb: 24 * 1024 },
    },
    {
      what: "several cards as one",
      said: { ...RADEON, names: ["one", "two"] },
      device: { kind: "vulkan", name: "one + two" },
    },
    {
      what: "Metal",
      said: { gpu: "metal", names: ["Apple M3 Max"], total_bytes: 48 * GIB, used_bytes: 0 },
      device: { kind: "metal", name: "Apple M3 Max", vram_total_mb: 48 * 1024 },
    },
    {
      what: "one CUDA device where NVIDIA's tool is missing",
      said: { ...RADEON, gpu: "cuda", names: ["Orin"] },
      device: { kind: "cuda", name: "Orin" },
    },
  ])("has $what", async ({ said, device }) => {
    const { entry } = await fakeEngine("found", said);
    const found = await probeOf(entry).discover();
    expect(found).toMatchObject({ devices: [{ index: 0, ...device }], cudaUnavailableReason: null });
  });

  test.each([
    { what: "none", said: { ...RADEON, gpu: null } },
    { what: "a processor that pretends", said: { ...RADEON, names: ["llvmpipe (LLVM 17.0.6, 256 bits)"] } },
    {
      what: "several CUDA devices that cannot be told apart",
      said: { ...RADEON, gpu: "cuda", names: ["a", "b"] },
    },
    { what: "a device without memory", said: { ...RADEON, total_bytes: 0 } },
    { what: "nonsense", said: "hello" },
    { what: "a driver that crashes", said: "crash" },
  ])("computes on the processor where the engine finds $what", async ({ said }) => {
    const { entry } = await fakeEngine("none", said);
    expect(await probeOf(entry).discover()).toMatchObject({ devices: [{ kind: "cpu" }] });
  });

  test("is not asked for where GPUs are left to others, or the engine is not there", async () => {
    const { entry, timesAsked } = await fakeEngine("left");
    expect(await probeOf(entry, { usesGpu: false }).discover()).toMatchObject({ devices: [{ kind: "cpu" }] });
    expect(await probeOf(undefined).discover()).toMatchObject({ devices: [{ kind: "cpu" }] });
    expect(await timesAsked()).toBe(0);
  });

  test("is read in a process of its own, seldom, and nobody waits for it", async () => {
    const clock = new ManualClock();
    const { entry, says, timesAsked } = await fakeEngine("read");
    const probe = probeOf(entry, { clock });
    await probe.discover();
    await says({ ...RADEON, used_bytes: 2 * GIB });
    expect(await probe.readings()).toMatchObject([{ usedMib: 1024, freeMib: 23 * 1024 }]);
    expect(await timesAsked()).toBe(1);
    await clock.advance(30_001);
    expect(await probe.readings()).toMatchObject([{ usedMib: 1024 }]);
    await eventually(async () => {
      expect(await probe.readings()).toMatchObject([{ usedMib: 2048 }]);
    });
    expect(await timesAsked()).toBe(2);
    await says({ ...RADEON, used_bytes: 3 * GIB });
    expect(await probe.usedMib()).toEqual(new Map([[0, 3072]]));
    await says("crash");
    expect(await probe.usedMib()).toEqual(new Map([[0, 3072]]));
  });
});

test("a neuron loads onto a GPU that only the engine knows, and counts what others use of it", async () => {
  const { entry } = await fakeEngine("neuron");
  await using neuron = await startTestNeuron({}, { devicesEntry: entry });
  const { body } = await neuron.call<Discovery>("/discovery");
  expect(body).toMatchObject({ devices: [{ kind: "vulkan" }], cuda_unavailable_reason: null });
  const model = writeFakeModel(neuron.store, "alpha");
  expect((await neuron.load({ model_id: "alpha", vram_mb: 23_000 })).status).toBe(200);
  const start = JSON.parse(model.events()[0]?.replace("start ", "") ?? "{}") as Record<string, unknown>;
  expect(start).toMatchObject({ gpu: true, cuda: "" });
  writeFakeModel(neuron.store, "large");
  const refused = await neuron.load({ model_id: "large", vram_mb: 23_999 });
  expect(refused.body).toMatchObject({
    error: {
      code: "insufficient_vram",
      holders: expect.arrayContaining([
        { device: 0, holder: "other processes", held_mb: expect.any(Number) as number },
      ]) as unknown,
    },
  });
  const health = await neuron.call<Health>("/health");
  expect(health.body.devices).toMatchObject([{ index: 0, vram_used_mb: 1024 }]);
});

test("the program that looks says what there is, whatever that is on this machine", async () => {
  const found = await probeOf(engineDevicesEntryFile()).discover();
  expect(found.devices).toHaveLength(1);
  expect(["cpu", "cuda", "metal", "vulkan"]).toContain(found.devices[0]?.kind);
});
