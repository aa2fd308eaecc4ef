import { copyFile } from "node:fs/promises";
import { join } from "node:path";
import { request } from "undici";
import { expect, test } from "vitest";
import { shippedModelsDirectory } from "../../src/platform/package-paths.ts";
import { CortexProcess, isAlive } from "../support/cortex-process.ts";
import { temporaryDirectory } from "../support/fleet/fleet-on-disk.ts";
import { residentModels } from "../support/fleet/running-fleet.ts";

const post = async (url: string, body: unknown) => {
  const response = await request(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  return { status: response.statusCode, body: (await response.body.json()) as Record<string, unknown> };
};

test("a neuron with memory for one of two real models swaps them both ways", async () => {
  await using store = await temporaryDirectory();
  for (const name of ["left", "right"]) {
    await copyFile(`${shippedModelsDirectory()}cortex-demo.gguf`, join(store.path, `${name}.gguf`));
  }
  await using neuron = new CortexProcess(
    ["neuron", "--port", "0", "--model-root", store.path, "--memory-limit", "32"],
    { environment: { CORTEX_DATA_DIR: join(store.path, "data") } },
  );
  const [, url = ""] = await neuron.waitFor(/listening on (\S+)/);
  expect((await post(`${url}/models/load?wait=1`, { model_id: "left", vram_mb: 30 })).status).toBe(200);
  let [before] = await residentModels(url);
  for (const [load, evict] of [
    ["right", "left"],
    ["left", "right"],
  ] as const) {
    const swap = { load: { model_id: load, vram_mb: 30 }, evict: [evict] };
    expect(await post(`${url}/models/swap?wait=1`, swap)).toMatchObject({
      status: 200,
      body: { status: "loaded", job: { evicted: [evict] } },
    });
    const models = await residentModels(url);
    expect(models.map(({ id, status }) => [id, status])).toEqual([[load, "loaded"]]);
    expect(isAlive(before?.pid ?? -1)).toBe(false);
    [before] = models;
    const messages = [{ role: "user", content: "hello" }];
    const answer = await post(`${url}/v1/chat/completions`, { model: load, messages, max_tokens: 4 });
    expect(answer).toMatchObject({ status: 200, body: { model: load } });
  }
});
