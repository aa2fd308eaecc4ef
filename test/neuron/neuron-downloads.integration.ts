import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { ChangeResponse } from "../../src/protocol/neuron-api.ts";
import { eventually } from "../support/eventually.ts";
import { writeFakeModel } from "../support/neuron/fake-worker-model.ts";
import { digestOf, startFileServer, type FileServer } from "../support/neuron/file-server.ts";
import { startTestNeuron, type WireError } from "../support/neuron/neuron-under-test.ts";

const COMMIT = "b".repeat(40);
const FILE_PATH = `/org/repo/resolve/${COMMIT}/m-Q4_K_M.gguf`;

let elsewhere = "";
beforeEach(() => {
  elsewhere = mkdtempSync(join(tmpdir(), "cortex-hub-"));
});
afterEach(() => {
  rmSync(elsewhere, { recursive: true, force: true });
});

/** A hub with one model that the fake worker understands, and a neuron that knows no other hub. */
async function startBoth() {
  const hub = await startFileServer();
  const model = writeFakeModel(elsewhere, "m-Q4_K_M");
  const body = new Uint8Array(readFileSync(join(elsewhere, "m-Q4_K_M.gguf")));
  publish(hub, body);
  const neuron = await startTestNeuron({
    hub: { endpoint: hub.base, token: undefined },
    downloads: { reserveBytes: 0 },
  });
  return {
    hub,
    neuron,
    model,
    body,
    fetches: () => hub.seen.filter(({ url, range }) => url === FILE_PATH && range !== "bytes=0-0").length,
    [Symbol.asyncDispose]: async () => {
      await neuron[Symbol.asyncDispose]();
      await hub[Symbol.asyncDispose]();
    },
  };
}

function publish(hub: FileServer, body: Uint8Array): void {
  const siblings = [{ rfilename: "m-Q4_K_M.gguf", size: body.length, lfs: { sha256: digestOf(body) } }];
  hub.answers.set("/api/models/org/repo/revision/main?blobs=true", JSON.stringify({ sha: COMMIT, siblings }));
  hub.put(FILE_PATH, body);
}

test("a load whose source is elsewhere fetches it first; the next load of it fetches nothing", async () => {
  await using both = await startBoth();
  const { neuron, body } = both;
  const spec = { model_id: "alpha", source: "hf:org/repo:Q4_K_M", sha256: digestOf(body) };
  const loaded = await neuron.load(spec);
  expect(loaded.body).toMatchObject({ status: "loaded", job: { state: "done" } });
  expect(loaded.body.job?.download).toBeUndefined();
  const asked = both.hub.seen.length;
  await neuron.unload({ model_id: "alpha" });
  expect((await neuron.load(spec)).body.status).toBe("loaded");
  expect(both.hub.seen).toHaveLength(asked);
  expect((await neuron.models()).models[0]?.spec?.source).toBe("hf:org/repo:Q4_K_M");
});

test("its job shows the download with bytes; a cancelled one ends, and the next goes on", async () => {
  await using both = await startBoth();
  const { neuron, hub, body } = both;
  hub.behaves(({ url, range }) => (url === FILE_PATH && range !== "bytes=0-0" ? { stallAfter: 50 } : {}));
  const { job } = (
    await neuron.call<ChangeResponse>("/models/load", { json: { model_id: "alpha", source: "hf:org/repo" } })
  ).body;
  await eventually(async () => {
    expect(await neuron.job(job?.id ?? "")).toMatchObject({
      state: "downloading",
      download: { bytes_total: body.length },
    });
  });
  expect((await neuron.models()).models[0]).toMatchObject({ status: "loading" });
  await neuron.call(`/jobs/${job?.id}`, { method: "DELETE" });
  expect(await neuron.job(job?.id ?? "")).toMatchObject({
    state: "failed",
    error: { code: "job_cancelled" },
  });
  hub.behaves(() => ({}));
  expect((await neuron.load({ model_id: "alpha", source: "hf:org/repo" })).body.status).toBe("loaded");
});

test("two models of one source wait for one download", async () => {
  await using both = await startBoth();
  const answers = await Promise.all(
    ["alpha", "beta"].map((id) => both.neuron.load({ model_id: id, source: "hf:org/repo:Q4_K_M" })),
  );
  expect(answers.map(({ status }) => status)).toEqual([200, 200]);
  expect(both.fetches()).toBe(1);
});

test.each([
  { what: "a tag that is not there", source: "hf:org/repo:Q4_K_S", code: "source_not_found", status: 404 },
  { what: "a repository that is not there", source: "hf:org/gone", code: "source_not_found", status: 404 },
  { what: "a scheme of others", source: "s3://bucket/m.gguf", code: "source_unsupported", status: 400 },
  { what: "plain http", source: "http://host/m.gguf", code: "source_unsupported", status: 400 },
])("$what is $code, and leaves nothing", async ({ source, code, status }) => {
  await using both = await startBoth();
  const refused = await both.neuron.load<WireError>({ model_id: "alpha", source });
  expect([refused.status, refused.body.error.code]).toEqual([status, code]);
  expect((await both.neuron.models()).models).toEqual([]);
});

test("bytes that are not what is pinned are refused, and no worker sees them", async () => {
  await using both = await startBoth();
  both.hub.behaves(({ url, range }) => (url === FILE_PATH && range !== "bytes=0-0" ? { corrupt: true } : {}));
  const refused = await both.neuron.load<WireError>({ model_id: "alpha", source: "hf:org/repo" });
  expect([refused.status, refused.body.error.code]).toEqual([422, "checksum_mismatch"]);
  expect(both.model.events()).toEqual([]);
});

test("a neuron that stops in the middle of a download stops at once", async () => {
  await using both = await startBoth();
  both.hub.behaves(({ range }) => (range === undefined || range === "bytes=0-0" ? {} : { stallAfter: 10 }));
  const { job } = (
    await both.neuron.call<ChangeResponse>("/models/load", {
      json: { model_id: "alpha", source: "hf:org/repo" },
    })
  ).body;
  await eventually(async () => {
    expect(await both.neuron.job(job?.id ?? "")).toMatchObject({ state: "downloading" });
  });
  await both.neuron.neuron.close({ drainTimeoutMs: 0 });
  expect(both.model.events()).toEqual([]);
});

test("what belongs to a model is fetched like the model", async () => {
  await using both = await startBoth();
  const { hub, neuron } = both;
  const load = (more: object) => neuron.load({ model_id: "alpha", source: "hf:org/repo", ...more });
  const missing = (await load({ draft: "hf:org/repo:nothing.gguf" })) as unknown as { body: WireError };
  expect(missing.body.error).toMatchObject({
    code: "source_not_found",
    message: expect.stringMatching(/^`draft`: org\/repo has no file/) as string,
  });
  const asked = hub.seen.length;
  const files = { draft: "hf:org/repo:m-Q4_K_M.gguf", lora: [{ source: "hf:org/repo:Q4_K_M", scale: 0.5 }] };
  expect((await load(files)).body.status).toBe("loaded");
  // Each of them was asked for, and all are the same file.
  expect(hub.seen.length).toBeGreaterThan(asked);
  expect((await neuron.models()).models[0]?.spec).toMatchObject(files);
});
