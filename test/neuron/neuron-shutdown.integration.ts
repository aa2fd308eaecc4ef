import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, statSync } from "node:fs";
import { rm } from "node:fs/promises";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { isAlive } from "../support/cortex-process.ts";
import { eventually } from "../support/eventually.ts";
import { writeFakeModel, type FakeModel } from "../support/neuron/fake-worker-model.ts";
import {
  readToTheEnd,
  startTestNeuron,
  type TestNeuron,
  type WireError,
} from "../support/neuron/neuron-under-test.ts";

const pidOf = async (neuron: TestNeuron, id: string): Promise<number> =>
  (await neuron.models()).models.find((model) => model.id === id)?.pid ?? -1;

const socketOf = (model: FakeModel): string =>
  (JSON.parse(model.events()[0]?.replace("start ", "") ?? "{}") as { readonly socket: string }).socket;

describe("close", () => {
  test("ends idle, busy, loading and deaf workers, within its bound, and leaves no file behind", async () => {
    await using neuron = await startTestNeuron();
    const idle = writeFakeModel(neuron.store, "idle");
    writeFakeModel(neuron.store, "busy");
    writeFakeModel(neuron.store, "deaf", { onStop: "ignore" });
    writeFakeModel(neuron.store, "slow", { load: "never", onStop: "ignore" });
    for (const id of ["idle", "busy", "deaf"]) expect((await neuron.load({ model_id: id })).status).toBe(200);
    const loading = neuron.load<WireError>({ model_id: "slow" });
    await eventually(async () => {
      expect(await pidOf(neuron, "slow")).toBeGreaterThan(0);
    });
    const pids = (await neuron.models()).models.map(({ pid }) => pid ?? -1);
    const socketDirectory = dirname(socketOf(idle));
    expect(statSync(socketDirectory).mode & 0o777).toBe(0o700);
    const stream = await neuron.chat({ model: "busy", fake: "silent-stream" });
    const reading = readToTheEnd(stream);
    const startedMs = performance.now();
    await neuron.neuron.close({ drainTimeoutMs: 100 });
    expect(performance.now() - startedMs).toBeLessThan(8_000);
    expect(pids.filter(isAlive)).toEqual([]);
    expect(await reading).toMatchObject({ broken: true });
    expect((await reading).text).toContain('"code":"draining"');
    expect(await loading).toMatchObject({ status: 409, body: { error: { code: "job_cancelled" } } });
    expect(existsSync(socketDirectory)).toBe(false);
    await expect(fetch(`${neuron.base}/health`)).rejects.toMatchObject({ message: "fetch failed" });
  });

  test("lets a request end that ends within the drain", async () => {
    await using neuron = await startTestNeuron();
    writeFakeModel(neuron.store, "alpha");
    await neuron.load({ model_id: "alpha" });
    const leave = new AbortController();
    const stream = await neuron.chat({ model: "alpha", fake: "silent-stream" }, leave.signal);
    const closed = neuron.neuron.close({ drainTimeoutMs: 30_000 });
    await eventually(async () => {
      expect((await neuron.chat({ model: "alpha" })).status).toBe(503);
    });
    leave.abort();
    await closed;
    expect((await readToTheEnd(stream)).text).not.toContain("error");
  });
});

describe("a neuron that is killed", () => {
  test("leaves no worker behind", async () => {
    const script = fileURLToPath(new URL("../support/neuron/neuron-process.ts", import.meta.url));
    const child = spawn(process.execPath, [script], { stdio: ["ignore", "pipe", "inherit"] });
    const [line] = (await once(child.stdout, "data")) as [Buffer];
    const { workerPid, store } = JSON.parse(line.toString("utf8")) as { workerPid: number; store: string };
    expect(isAlive(workerPid)).toBe(true);
    child.kill("SIGKILL");
    await eventually(() => {
      expect(isAlive(workerPid)).toBe(false);
    });
    await rm(store, { recursive: true });
  });
});
