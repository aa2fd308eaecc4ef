import { copyFile, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { CortexProcess, freePort, isAlive } from "../../support/cortex-process.ts";
import { eventually } from "../../support/eventually.ts";
import { temporaryDirectory } from "../../support/fleet/fleet-on-disk.ts";
import { residentModels } from "../../support/fleet/running-fleet.ts";
import { tinyModelFile } from "../../support/neuron/tiny-model.ts";
import type { ChangeResponse } from "../../../src/protocol/neuron-api.ts";

/** A neuron as a process of its own, that can be started again with the same data on the same port. */
async function place() {
  const directory = await temporaryDirectory();
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const stack = new AsyncDisposableStack();
  stack.use(directory);
  return {
    path: directory.path,
    url,
    start: async (...flags: readonly string[]): Promise<CortexProcess> => {
      const neuron = new CortexProcess(["neuron", "--port", String(port), ...flags], {
        environment: { CORTEX_DATA_DIR: directory.path, CORTEX_NEURON_WORKER_GRACE: "10" },
      });
      stack.defer(async () => {
        await neuron.stop("SIGTERM");
      });
      await neuron.waitFor(/neuron listening/);
      return neuron;
    },
    load: async (spec: Record<string, unknown>, query = ""): Promise<ChangeResponse> => {
      const response = await fetch(`${url}/models/load${query}`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(spec),
      });
      return (await response.json()) as ChangeResponse;
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

const CARDS = ["--simulate", "24GiB RTX 4090"];

test("kill -9 of a neuron in the middle of a load: nothing of it is left, and the next one loads the model by itself", async () => {
  await using at = await place();
  const script = join(at.path, "slow.toml");
  await writeFile(script, "[[models]]\nload_secs = 120\n");
  const first = await at.start(...CARDS, "--script", script);
  await at.load({ model_id: "m", vram_mb: 8192, context: 1024 });
  let pid = 0;
  await eventually(async () => {
    const [model] = await residentModels(at.url);
    expect(model).toMatchObject({ id: "m", status: "loading" });
    pid = model?.pid ?? 0;
    expect(pid).toBeGreaterThan(0);
  });
  await first.stop("SIGKILL");
  await eventually(() => {
    expect(isAlive(pid)).toBe(false);
  });
  await writeFile(script, "[[models]]\nload_secs = 0\n");
  await at.start(...CARDS, "--script", script);
  await eventually(async () => {
    expect(await residentModels(at.url)).toMatchObject([
      { id: "m", status: "loaded", vram_used_mb: 8192, origin: { kind: "manual" } },
    ]);
  });
});

test("two clients at once: of one model they share a load and a process, different ones have one each", async () => {
  await using at = await place();
  const file = await tinyModelFile();
  await mkdir(join(at.path, "models"), { recursive: true });
  for (const id of ["one", "two"]) await copyFile(file, join(at.path, "models", `${id}.gguf`));
  await at.start();
  const ask = (id: string) => at.load({ model_id: id, context: 512 }, "?wait=1");
  const [first, second, other] = await Promise.all([ask("one"), ask("one"), ask("two")]);
  expect([first, second, other].map(({ status }) => status)).toEqual(["loaded", "loaded", "loaded"]);
  expect(second?.job?.id).toBe(first?.job?.id);
  expect(other?.job?.id).not.toBe(first?.job?.id);
  const models = await residentModels(at.url);
  expect(models.map(({ id }) => id).toSorted()).toEqual(["one", "two"]);
  expect(new Set(models.map(({ pid }) => pid)).size).toBe(2);
});
