import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { readAssignment } from "../../src/neuron/residency/assignment.ts";
import { workerEntryFile } from "../../src/platform/package-paths.ts";
import type { Health } from "../../src/protocol/neuron-api.ts";
import { isAlive } from "../support/cortex-process.ts";
import { HurriedClock } from "../support/hurried-clock.ts";
import { eventually } from "../support/eventually.ts";
import { writeFakeModel } from "../support/neuron/fake-worker-model.ts";
import { writeTinyGguf } from "../support/neuron/gguf-writer.ts";
import { readToTheEnd, startTestNeuron, type TestNeuron } from "../support/neuron/neuron-under-test.ts";

const leftNeuron = fileURLToPath(new URL("../support/neuron/left-neuron.ts", import.meta.url));
const REAL = { workerEntry: workerEntryFile() };

/** A state directory and a store that two neurons have one after the other. */
async function place() {
  const state = await mkdtemp(join(tmpdir(), "cortex-test-state-"));
  const store = await mkdtemp(join(tmpdir(), "cortex-test-store-"));
  return {
    state,
    store,
    assigned: async () => readAssignment(await readFile(join(state, "assignment.json"), "utf8")) ?? [],
    [Symbol.asyncDispose]: async () => {
      await rm(state, { recursive: true, force: true });
      await rm(store, { recursive: true, force: true });
    },
  };
}

const loaded = async (neuron: TestNeuron) =>
  (await neuron.models()).models
    .filter(({ status }) => status === "loaded")
    .map(({ id, pid }) => ({ id, pid }));
const activation = async (neuron: TestNeuron) => (await neuron.call<Health>("/health")).body.activation;
const ask = (id: string) => ({ model: id, messages: [{ role: "user", content: "hi" }], max_tokens: 4 });

test("kill -9 in the middle of a stream: the next neuron has the same workers at once, and they serve", async () => {
  await using at = await place();
  for (const id of ["one", "two"]) await writeFile(join(at.store, `${id}.gguf`), writeTinyGguf());
  const first = spawn(process.execPath, [leftNeuron, at.state, at.store, "one", "two"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = once(first, "exit");
  const [line] = (await once(first.stdout, "data")) as [Buffer];
  const base = line.toString("utf8").trim();
  const before = (await (await fetch(`${base}/models`)).json()) as { models: { id: string; pid: number }[] };
  const stream = await fetch(`${base}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ ...ask("one"), max_tokens: 400, stream: true }),
  });
  first.kill("SIGKILL");
  expect((await readToTheEnd(stream)).text).not.toContain("[DONE]");
  await ended;
  await using next = await startTestNeuron({ stateDirectory: at.state, modelRoots: [at.store] }, REAL);
  const pids = before.models.map(({ id, pid }) => ({ id, pid }));
  expect(await loaded(next)).toEqual(pids);
  expect(await activation(next)).toMatchObject({ state: "ready", completed: ["one", "two"], failed: [] });
  for (const id of ["one", "two"]) expect((await next.chat(ask(id))).status).toBe(200);
  const [one] = (await next.models()).models;
  expect(one).toMatchObject({ vram_measured: true, limit: { context: 512 }, origin: { kind: "manual" } });
  await next.unload({ model_id: "one" });
  await eventually(() => {
    expect(isAlive(pids[0]?.pid ?? -1)).toBe(false);
  });
  // The one that stays is seen to die like any other, and comes back.
  process.kill(pids[1]?.pid ?? -1, "SIGKILL");
  await eventually(async () => {
    const [two] = await loaded(next);
    expect(two?.id).toBe("two");
    expect(two?.pid).not.toBe(pids[1]?.pid);
  });
  expect((await at.assigned()).map(({ spec }) => spec.model_id)).toEqual(["two"]);
});

test("what is told as loaded or unloaded is on disk, so that a neuron that is killed right then leaves it to the next", async () => {
  await using at = await place();
  await using neuron = await startTestNeuron({ stateDirectory: at.state, modelRoots: [at.store] });
  const onDisk = () =>
    (readAssignment(readFileSync(join(at.state, "assignment.json"), "utf8")) ?? [])
      .filter(({ worker, wanted }) => worker !== null && wanted)
      .map(({ spec }) => spec.model_id);
  const ids = ["one", "two", "three", "four", "five"];
  for (const id of ids) writeFakeModel(at.store, id);
  const seen: string[][] = [];
  for (const id of ids) {
    await neuron.load({ model_id: id });
    seen.push(onDisk());
  }
  for (const id of ids) {
    await neuron.unload({ model_id: id });
    seen.push(onDisk());
  }
  expect(seen).toEqual([
    ...ids.map((_, last) => ids.slice(0, last + 1)),
    ...ids.map((_, gone) => ids.slice(gone + 1)),
  ]);
});

test("a neuron that hands over leaves its models; one that closes takes them along, and both come back", async () => {
  await using at = await place();
  await writeFile(join(at.store, "one.gguf"), writeTinyGguf());
  const config = { stateDirectory: at.state, modelRoots: [at.store] };
  const first = await startTestNeuron(config, REAL);
  await first.load({ model_id: "one", context: 512 });
  const [left] = await loaded(first);
  await first.neuron.handOver();
  await expect(fetch(`${first.base}/health`)).rejects.toThrow("fetch failed");
  expect(isAlive(left?.pid ?? -1)).toBe(true);
  const second = await startTestNeuron(config, REAL);
  expect(await loaded(second)).toEqual([left]);
  await second.neuron.close({ drainTimeoutMs: 0 });
  expect(isAlive(left?.pid ?? -1)).toBe(false);
  await using third = await startTestNeuron(config, REAL);
  await eventually(async () => {
    expect(await activation(third)).toMatchObject({ state: "ready", completed: ["one"] });
  });
  expect((await loaded(third)).map(({ id }) => id)).toEqual(["one"]);
});

test("a model that nobody comes back for is unloaded after its grace period", async () => {
  await using at = await place();
  await writeFile(join(at.store, "one.gguf"), writeTinyGguf());
  const config = { stateDirectory: at.state, modelRoots: [at.store], orphanGraceMs: 100 };
  const neuron = await startTestNeuron(config, REAL);
  await neuron.load({ model_id: "one", context: 512 });
  const [left] = await loaded(neuron);
  await neuron.neuron.handOver();
  await eventually(() => {
    expect(isAlive(left?.pid ?? -1)).toBe(false);
  });
});

test("what loads when the neuron goes is loaded again; what cannot come holds up nobody", async () => {
  await using at = await place();
  const config = { stateDirectory: at.state, modelRoots: [at.store] };
  writeFakeModel(at.store, "gone");
  writeFakeModel(at.store, "spoilt");
  const slow = writeFakeModel(at.store, "slow", { gated: true });
  const first = await startTestNeuron(config);
  for (const id of ["gone", "spoilt"]) await first.load({ model_id: id });
  await first.call("/models/load", { json: { model_id: "slow" } });
  await eventually(async () => {
    const found = await at.assigned();
    expect(found.map(({ spec, worker }) => [spec.model_id, worker !== null])).toEqual([
      ["gone", true],
      ["spoilt", true],
      ["slow", false],
    ]);
  });
  await first.neuron.handOver();
  await rm(join(at.store, "gone.gguf"));
  writeFakeModel(at.store, "spoilt", { load: "fail" });
  await using second = await startTestNeuron(config);
  slow.openGate();
  await eventually(async () => {
    expect(await activation(second)).toMatchObject({ state: "ready", pending: [], completed: ["slow"] });
  });
  expect((await activation(second))?.failed).toEqual([
    { model_id: "gone", error: expect.stringContaining("no model file gone") as string },
    { model_id: "spoilt", error: "not a model" },
  ]);
});

test.each(["", "{", '{"version":9,"models":[]}', '{"version":1,"models":[{"spec":{}}]}'])(
  "an assignment that says %j stops nobody from starting",
  async (text) => {
    await using at = await place();
    await writeFile(join(at.state, "assignment.json"), text);
    await using neuron = await startTestNeuron({ stateDirectory: at.state });
    expect((await neuron.models()).models).toEqual([]);
    expect(await activation(neuron)).toMatchObject({ state: "ready", completed: [], failed: [] });
  },
);

const ENGINE = fileURLToPath(new URL("../support/neuron/fake-engine.ts", import.meta.url));

/** Running processes of the group that a worker leads, itself left out; a dead one that nobody fetches is none. */
async function startedBy(worker: number): Promise<number[]> {
  const names = (await readdir("/proc")).filter((name) => /^\d+$/.test(name) && name !== String(worker));
  const stats = await Promise.all(
    names.map((name) => readFile(`/proc/${name}/stat`, "utf8").catch(() => "")),
  );
  return names.flatMap((name, at) => {
    const [state = "", , group] = (stats[at] ?? "").replace(/^.*\) /, "").split(" ");
    return Number(group) === worker && !"ZX".includes(state) ? [Number(name)] : [];
  });
}

test("an engine whose worker was killed while no neuron ran is ended by the next one, and started anew", async () => {
  await using at = await place();
  const command = ["node", ENGINE, '{"port":${PORT},"model":"m","fault":"none"}'];
  const spec = JSON.stringify({ model_id: "m", harness: "openai", vram_mb: 64, command });
  const first = spawn(process.execPath, [leftNeuron, at.state, at.store, spec], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = once(first, "exit");
  await once(first.stdout, "data");
  first.kill("SIGKILL");
  await ended;
  const worker = (await at.assigned())[0]?.worker?.pid ?? -1;
  const engines = await startedBy(worker);
  expect(engines).toHaveLength(1);
  process.kill(worker, "SIGKILL");
  expect(await startedBy(worker)).toEqual(engines);
  await using next = await startTestNeuron({ stateDirectory: at.state, engines: [process.execPath] });
  expect(await startedBy(worker)).toEqual([]);
  await eventually(async () => {
    expect((await loaded(next)).map(({ id }) => id)).toEqual(["m"]);
  });
  expect((await next.chat(ask("m"))).status).toBe(200);
});

/** Long sleeps end when the test says so, and not before. */
class HeldClock extends HurriedClock {
  readonly #released = Promise.withResolvers<void>();
  readonly release = (): void => this.#released.resolve();

  override async sleep(durationMs: number, signal?: AbortSignal): Promise<void> {
    if (durationMs >= 10_000) await this.#released.promise;
    return super.sleep(durationMs, signal);
  }
}

/** A place whose neuron has gone, and left a model whose file is missing now. */
async function placeWithoutFile() {
  const at = await place();
  const config = { stateDirectory: at.state, modelRoots: [at.store] };
  writeFakeModel(at.store, "away");
  const first = await startTestNeuron(config);
  await first.load({ model_id: "away" });
  await first.neuron.handOver();
  await eventually(async () => {
    expect(await at.assigned()).toHaveLength(1);
  });
  const [left] = await at.assigned();
  // The fake worker goes with its neuron.
  await eventually(() => {
    expect(isAlive(left?.worker?.pid ?? -1)).toBe(false);
  });
  await rm(join(at.store, "away.gguf"));
  return { ...at, config };
}

const failedToReturn = (neuron: TestNeuron, count: number) =>
  eventually(async () => {
    expect((await activation(neuron))?.failed).toHaveLength(count);
  });

test("a model that could not come back is tried again, later each time, and is there once it can", async () => {
  await using at = await placeWithoutFile();
  const clock = new HeldClock();
  await using second = await startTestNeuron(at.config, { clock });
  await failedToReturn(second, 1);
  writeFakeModel(at.store, "away");
  clock.release();
  await eventually(async () => {
    expect(await activation(second)).toMatchObject({ state: "ready", completed: ["away"], failed: [] });
  });
  expect((await loaded(second)).map(({ id }) => id)).toEqual(["away"]);
});

test("a neuron that ends while it tries to restore a model leaves it to the next one", async () => {
  await using at = await placeWithoutFile();
  for (const end of ["handOver", "close"] as const) {
    const neuron = await startTestNeuron(at.config, { clock: new HeldClock() });
    await failedToReturn(neuron, 1);
    await neuron.neuron[end]();
    expect(await at.assigned()).toMatchObject([{ spec: { model_id: "away" }, wanted: true, worker: null }]);
  }
  writeFakeModel(at.store, "away");
  await using last = await startTestNeuron(at.config);
  await eventually(async () => {
    expect((await loaded(last)).map(({ id }) => id)).toEqual(["away"]);
  });
});

test("a model that is awaited and unloaded meanwhile is not tried again, and not left to the next neuron", async () => {
  await using at = await placeWithoutFile();
  const clock = new HeldClock();
  await using neuron = await startTestNeuron(at.config, { clock });
  await failedToReturn(neuron, 1);
  await neuron.unload({ model_id: "away" });
  await eventually(async () => {
    expect(await at.assigned()).toEqual([]);
  });
  writeFakeModel(at.store, "away");
  clock.release();
  await failedToReturn(neuron, 0);
  expect(await loaded(neuron)).toEqual([]);
  expect(await at.assigned()).toEqual([]);
});

test("a model that was tried often enough is given up, on disk too", async () => {
  await using at = await placeWithoutFile();
  const clock = new HeldClock();
  clock.release();
  await using neuron = await startTestNeuron(at.config, { clock });
  await eventually(async () => {
    expect(await at.assigned()).toEqual([]);
  });
  await failedToReturn(neuron, 1);
});
