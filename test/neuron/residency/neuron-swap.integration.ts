import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { temporaryDirectory } from "../../support/fleet/fleet-on-disk.ts";
import { writeFakeModel } from "../../support/neuron/fake-worker-model.ts";
import { eventually } from "../../support/eventually.ts";
import {
  readToTheEnd,
  startTestNeuron,
  type TestNeuron,
  type WireError,
} from "../../support/neuron/neuron-under-test.ts";
import { isAlive } from "../../support/cortex-process.ts";
import type { ChangeResponse } from "../../../src/protocol/neuron-api.ts";

const MIB = 1024 * 1024;

const swap = <Body = ChangeResponse>(
  neuron: TestNeuron,
  body: { readonly load: Record<string, unknown> } & Record<string, unknown>,
  headers: Record<string, string> = {},
) => neuron.call<Body>("/models/swap?wait=1", { json: body, headers });

/** Memory for one of the two models. */
async function crowdedNeuron(): Promise<TestNeuron> {
  const neuron = await startTestNeuron({ memoryLimitMib: 100 });
  for (const name of ["alpha", "beta"]) writeFakeModel(neuron.store, name, { memoryBytes: 64 * MIB });
  await neuron.load({ model_id: "alpha", vram_mb: 64 });
  return neuron;
}

describe("POST /models/swap", () => {
  test("loads one in the place of the other, in one step", async () => {
    await using neuron = await crowdedNeuron();
    const before = (await neuron.models()).models[0];
    const full = await neuron.load<WireError>({ model_id: "beta", vram_mb: 64 });
    expect([full.status, full.body.error.code]).toEqual([503, "insufficient_vram"]);
    const answer = await swap(neuron, { load: { model_id: "beta", vram_mb: 64 }, evict: ["alpha"] });
    expect(answer).toMatchObject({ status: 200, body: { status: "loaded", job: { evicted: ["alpha"] } } });
    const { models, generation } = await neuron.models();
    expect(models.map(({ id, status }) => [id, status])).toEqual([["beta", "loaded"]]);
    expect(answer.headers.get("etag")).toBe(`"${generation}"`);
    expect(isAlive(before?.pid ?? -1)).toBe(false);
  });

  test("waits for work in flight, and is refused where somebody changed the neuron before", async () => {
    await using neuron = await crowdedNeuron();
    const { generation } = await neuron.models();
    const stale = await swap<WireError>(
      neuron,
      { load: { model_id: "beta", vram_mb: 64 }, evict: ["alpha"] },
      { "if-match": `"${generation - 1}"` },
    );
    expect([stale.status, stale.body.error.code]).toEqual([412, "stale_generation"]);
    const leave = new AbortController();
    const stream = await neuron.chat({ model: "alpha", stream: true, fake: "endless" }, leave.signal);
    const busy = await swap<WireError>(neuron, {
      load: { model_id: "beta", vram_mb: 64 },
      evict: ["alpha"],
      drain_timeout_secs: 0.05,
    });
    expect([busy.status, busy.body.error.code]).toEqual([409, "model_busy"]);
    expect(busy.body.error.message).toContain("nothing was unloaded for it");
    const pending = swap(neuron, { load: { model_id: "beta", vram_mb: 64 }, evict: ["alpha"] });
    await eventually(async () => {
      expect((await neuron.models()).models[0]?.status).toBe("unloading");
    });
    leave.abort();
    await readToTheEnd(stream);
    expect((await pending).status).toBe(200);
  });

  test("by force cuts the work, and its stream says so", async () => {
    await using neuron = await crowdedNeuron();
    const stream = await neuron.chat({ model: "alpha", stream: true, fake: "endless" });
    const answer = await swap(neuron, {
      load: { model_id: "beta", vram_mb: 64 },
      evict: ["alpha"],
      force: true,
    });
    expect(answer.status).toBe(200);
    const { text } = await readToTheEnd(stream);
    expect(text).not.toContain("[DONE]");
  });

  test("of a file that is not there keeps what is loaded", async () => {
    await using neuron = await crowdedNeuron();
    const answer = await swap<WireError>(neuron, { load: { model_id: "gamma" }, evict: ["alpha"] });
    expect([answer.status, answer.body.error.code]).toEqual([404, "source_not_found"]);
    expect((await neuron.models()).models.map(({ id }) => id)).toEqual(["alpha"]);
  });
});

const of = (fleet: string, epoch: number) => ({ "cortex-epoch": String(epoch), "cortex-fleet": fleet });

describe("Cortex-Epoch", () => {
  test("a lower one than any seen is refused, also after a restart", async () => {
    await using state = await temporaryDirectory();
    const stateDirectory = join(state.path, "neuron");
    {
      await using neuron = await startTestNeuron({ stateDirectory });
      writeFakeModel(neuron.store, "alpha");
      expect((await neuron.load({ model_id: "alpha" }, { "cortex-epoch": "12" })).status).toBe(200);
      const stale = await neuron.unload({ model_id: "alpha" }, { "cortex-epoch": "11" });
      expect(stale).toMatchObject({
        status: 409,
        body: { error: { code: "stale_epoch", epoch: 12, sent_epoch: 11 } },
      });
      expect((await neuron.models()).models).toHaveLength(1);
    }
    expect(await readFile(join(stateDirectory, "epoch"), "utf8")).toBe("12\n");
    await using again = await startTestNeuron({ stateDirectory });
    const load = await again.load<WireError>({ model_id: "alpha" }, { "cortex-epoch": "11" });
    expect([load.status, load.body.error.code]).toEqual([409, "stale_epoch"]);
    const odd = await again.load<WireError>({ model_id: "alpha" }, { "cortex-epoch": "new" });
    expect([odd.status, odd.body.error.code]).toEqual([422, "invalid_request_body"]);
  });

  test("counts for each fleet by itself: two fleets on one neuron do not shut each other out, also after a restart", async () => {
    await using state = await temporaryDirectory();
    const stateDirectory = join(state.path, "neuron");
    {
      await using neuron = await startTestNeuron({ stateDirectory });
      writeFakeModel(neuron.store, "alpha");
      expect((await neuron.load({ model_id: "alpha" }, of("home", 9))).status).toBe(200);
      expect((await neuron.unload({ model_id: "alpha" }, of("lab", 3))).status).toBe(200);
      const stale = await neuron.load<WireError>({ model_id: "alpha" }, of("home", 8));
      expect([stale.status, stale.body.error.code]).toEqual([409, "stale_epoch"]);
    }
    expect(await readFile(join(stateDirectory, "epoch"), "utf8")).toBe("9 home\n3 lab\n");
    await using again = await startTestNeuron({ stateDirectory });
    expect((await again.load<WireError>({ model_id: "alpha" }, of("lab", 2))).status).toBe(409);
    expect((await again.load<WireError>({ model_id: "alpha" }, of("home", 8))).status).toBe(409);
    const odd = await again.load<WireError>({ model_id: "alpha" }, of("No Name", 8));
    expect([odd.status, odd.body.error.code]).toEqual([422, "invalid_request_body"]);
  });

  test("a file that holds none stops the start: nobody may begin again at 0", async () => {
    await using state = await temporaryDirectory();
    await writeFile(join(state.path, "epoch"), "twelve\n");
    await expect(startTestNeuron({ stateDirectory: state.path })).rejects.toThrow("does not hold an epoch");
  });
});

test("a load that failed is not tried again at once for a request", async () => {
  await using neuron = await startTestNeuron();
  const broken = writeFakeModel(neuron.store, "broken", { load: "crash" });
  const load = () => neuron.load<WireError>({ model_id: "broken", origin: { kind: "request" } });
  expect((await load()).body.error.code).toBe("load_failed");
  const again = await load();
  expect(again.body.error).toMatchObject({ code: "load_failed", failed_tries: 1 });
  expect(Number(again.headers.get("retry-after"))).toBeGreaterThan(5);
  expect(broken.events().filter((event) => event.startsWith("start"))).toHaveLength(1);
});
