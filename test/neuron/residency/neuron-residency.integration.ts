import { mkdirSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { writeFakeModel } from "../../support/neuron/fake-worker-model.ts";
import { isAlive } from "../../support/cortex-process.ts";
import { eventually } from "../../support/eventually.ts";
import { readToTheEnd, startTestNeuron, type WireError } from "../../support/neuron/neuron-under-test.ts";
import { specHash } from "../../../src/protocol/spec-hash.ts";
import type { ChangeResponse, Discovery, Health, Job, Version } from "../../../src/protocol/neuron-api.ts";

describe("loading", () => {
  test("a load that is waited for ends with the model resident, measured and alive", async () => {
    await using neuron = await startTestNeuron();
    writeFakeModel(neuron.store, "alpha", { memoryBytes: 100 * 1024 * 1024 });
    const answer = await neuron.load({ model_id: "alpha", parallel: 2, vram_mb: 300 });
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({
      status: "loaded",
      job: { kind: "load", state: "done", error: null },
    });
    const { models, generation } = await neuron.models();
    expect(answer.headers.get("etag")).toBe(`"${generation}"`);
    expect(models).toMatchObject([
      {
        id: "alpha",
        status: "loaded",
        devices: [0],
        vram_used_mb: 100,
        vram_measured: true,
        limit: { context: 2048, output: 1024 },
        parallel: 2,
        servable: { ok: true },
        origin: { kind: "manual" },
        last_used_ms: null,
      },
    ]);
    expect(isAlive(models[0]?.pid ?? -1)).toBe(true);
  });

  test("the settings that were asked for are told, and an engine that does not answer is said to be unreachable", async () => {
    await using neuron = await startTestNeuron();
    writeFakeModel(neuron.store, "alpha", {});
    await neuron.load({ model_id: "alpha", parallel: 2, context: 64 });
    const [model] = (await neuron.models()).models;
    expect(model?.spec).toMatchObject({ model_id: "alpha", parallel: 2, context: 64 });
    expect(model?.spec === undefined ? undefined : specHash(model.spec)).toBe(model?.spec_hash);
    const refused = await neuron.load<WireError>({
      model_id: "beta",
      harness: "openai",
      endpoint: "http://127.0.0.1:1",
    });
    expect([refused.status, refused.body.error.code]).toEqual([503, "engine_unreachable"]);
  });

  test("a load that is not waited for is a job that can be followed", async () => {
    await using neuron = await startTestNeuron();
    const model = writeFakeModel(neuron.store, "alpha", { gated: true });
    const answer = await neuron.call<ChangeResponse>("/models/load", { json: { model_id: "alpha" } });
    expect(answer.status).toBe(202);
    const { job } = answer.body;
    expect(answer.headers.get("location")).toBe(`/jobs/${job?.id}`);
    await eventually(async () => {
      expect(await neuron.job(job?.id ?? "")).toMatchObject({ state: "loading", progress: 0.5 });
    });
    expect((await neuron.models()).models[0]).toMatchObject({ status: "loading", servable: { ok: false } });
    expect((await neuron.call("/v1/chat/completions", { json: { model: "alpha" } })).body.error.code).toBe(
      "model_loading",
    );
    model.openGate();
    await eventually(async () => {
      expect(await neuron.job(job?.id ?? "")).toMatchObject({ state: "done" });
    });
  });

  test("two loads of one model share one worker; the same spec again is done at once", async () => {
    await using neuron = await startTestNeuron();
    const model = writeFakeModel(neuron.store, "alpha", { gated: true });
    const both = [neuron.load({ model_id: "alpha" }), neuron.load({ model_id: "alpha" })];
    model.openGate();
    const [first, second] = await Promise.all(both);
    expect(first?.body.job?.id).toBe(second?.body.job?.id);
    expect(model.events().filter((event) => event.startsWith("start"))).toHaveLength(1);
    expect(await neuron.load({ model_id: "alpha" })).toMatchObject({ status: 200, body: { job: null } });
    const other = await neuron.load<WireError>({ model_id: "alpha", parallel: 3 });
    expect(other).toMatchObject({ status: 409, body: { error: { code: "spec_conflict" } } });
  });

  test.each([
    { load: "fail", code: "model_file_invalid", status: 422, words: "the engine said: no" },
    { load: "crash", code: "load_failed", status: 500, words: "about to abort" },
  ] as const)(
    "a worker whose load goes $load leaves no trace but its job",
    async ({ load, code, status, words }) => {
      await using neuron = await startTestNeuron();
      writeFakeModel(neuron.store, "alpha", { load });
      const answer = await neuron.load<WireError>({ model_id: "alpha" });
      expect(answer.status).toBe(status);
      expect(answer.body.error.code).toBe(code);
      expect(answer.body.error["last_log_lines"]).toContain(words);
      expect((await neuron.models()).models).toEqual([]);
      const { body } = await neuron.call<Health>("/health");
      expect(body.devices[0]?.vram_used_mb).toBe(0);
      const jobs = await neuron.call<{ jobs: Job[] }>("/jobs");
      expect(jobs.body.jobs).toMatchObject([{ state: "failed", error: { code } }]);
    },
  );

  test("a missing file names what is there and where it was looked for", async () => {
    await using neuron = await startTestNeuron();
    writeFakeModel(neuron.store, "qwen-small");
    const answer = await neuron.load<WireError>({ model_id: "chat", source: "qwen-smal" });
    expect(answer.status).toBe(404);
    expect(answer.body.error).toMatchObject({
      code: "source_not_found",
      nearest: "qwen-small",
      searched: [neuron.store],
    });
  });

  test("what does not fit is refused with the figures, before a process starts", async () => {
    await using neuron = await startTestNeuron();
    const model = writeFakeModel(neuron.store, "alpha");
    const answer = await neuron.load<WireError>({ model_id: "alpha", vram_mb: 99_999_999 });
    expect(answer.status).toBe(503);
    expect(answer.body.error).toMatchObject({
      code: "insufficient_vram",
      device: 0,
      required_mb: 99_999_999,
      holders: [],
    });
    expect(model.events()).toEqual([]);
  });

  test("a load that hangs can be cancelled", async () => {
    await using neuron = await startTestNeuron();
    writeFakeModel(neuron.store, "alpha", { load: "never" });
    const { body } = await neuron.call<ChangeResponse>("/models/load", { json: { model_id: "alpha" } });
    const jobId = body.job?.id ?? "";
    await eventually(async () => {
      expect(await neuron.job(jobId)).toMatchObject({ progress: 0.5 });
    });
    expect((await neuron.call(`/jobs/${jobId}`, { method: "DELETE" })).status).toBe(200);
    await eventually(async () => {
      expect(await neuron.job(jobId)).toMatchObject({ state: "failed", error: { code: "job_cancelled" } });
    });
    expect((await neuron.models()).models).toEqual([]);
  });
});

describe("unloading", () => {
  test("an idle model goes and so does its process; again is a success", async () => {
    await using neuron = await startTestNeuron();
    writeFakeModel(neuron.store, "alpha");
    await neuron.load({ model_id: "alpha" });
    const pid = (await neuron.models()).models[0]?.pid ?? -1;
    expect(await neuron.unload({ model_id: "alpha" })).toMatchObject({
      status: 200,
      body: { status: "unloaded" },
    });
    expect(isAlive(pid)).toBe(false);
    expect(await neuron.unload({ model_id: "alpha" })).toMatchObject({ status: 200, body: { job: null } });
  });

  test("work in flight outlives the drain time and the model goes back to work", async () => {
    await using neuron = await startTestNeuron();
    writeFakeModel(neuron.store, "alpha");
    await neuron.load({ model_id: "alpha" });
    const leave = new AbortController();
    const chat = await neuron.chat({ model: "alpha", fake: "silent-stream" }, leave.signal);
    const answer = await neuron.unload<WireError>({ model_id: "alpha", drain_timeout_secs: 0.05 });
    expect(answer).toMatchObject({ status: 409, body: { error: { code: "model_busy", in_flight: 1 } } });
    expect((await neuron.models()).models[0]).toMatchObject({ status: "loaded" });
    expect((await neuron.chat({ model: "alpha" })).status).toBe(200);
    const unloading = neuron.unload({ model_id: "alpha" });
    await eventually(async () => {
      expect((await neuron.call("/v1/chat/completions", { json: { model: "alpha" } })).body.error.code).toBe(
        "draining",
      );
    });
    leave.abort();
    expect((await readToTheEnd(chat)).broken).toBe(true);
    expect((await unloading).status).toBe(200);
  });

  test("force cuts what is in flight, and says so in the stream", async () => {
    await using neuron = await startTestNeuron();
    writeFakeModel(neuron.store, "alpha");
    await neuron.load({ model_id: "alpha" });
    const chat = await neuron.chat({ model: "alpha", fake: "silent-stream" });
    const unloading = neuron.unload({ model_id: "alpha", force: true });
    const { text, broken } = await readToTheEnd(chat);
    expect(broken).toBe(true);
    expect(text).toContain('"code":"draining"');
    expect(text).not.toContain("[DONE]");
    expect((await unloading).status).toBe(200);
  });

  test("an unload cancels a load that is under way", async () => {
    await using neuron = await startTestNeuron();
    writeFakeModel(neuron.store, "alpha", { load: "never" });
    const loading = neuron.load<WireError>({ model_id: "alpha" });
    await eventually(async () => {
      expect((await neuron.models()).models).toHaveLength(1);
    });
    expect((await neuron.unload({ model_id: "alpha" })).status).toBe(200);
    expect(await loading).toMatchObject({ status: 409, body: { error: { code: "job_cancelled" } } });
  });
});

describe("changes by several hands", () => {
  test("a change for another generation is refused with the present one", async () => {
    await using neuron = await startTestNeuron();
    writeFakeModel(neuron.store, "alpha");
    const { generation } = await neuron.models();
    const etag = `"${generation}"`;
    expect((await neuron.load({ model_id: "alpha" }, { "if-match": etag })).status).toBe(200);
    const stale = await neuron.unload<WireError>({ model_id: "alpha" }, { "if-match": etag });
    const present = await neuron.models();
    expect(stale.status).toBe(412);
    expect(stale.body.error).toMatchObject({ code: "stale_generation", generation: present.generation });
    expect(stale.headers.get("etag")).toBe(`"${present.generation}"`);
    const fresh = await neuron.unload({ model_id: "alpha" }, { "if-match": `"${present.generation}"` });
    expect(fresh.status).toBe(200);
  });

  test("a draining neuron takes no loads and no requests until it resumes", async () => {
    await using neuron = await startTestNeuron();
    writeFakeModel(neuron.store, "alpha");
    writeFakeModel(neuron.store, "beta");
    await neuron.load({ model_id: "alpha" });
    await neuron.call("/drain", { method: "POST" });
    expect((await neuron.call<Health>("/health")).body.status).toBe("draining");
    expect((await neuron.load<WireError>({ model_id: "beta" })).body.error.code).toBe("draining");
    expect((await neuron.chat({ model: "alpha" })).status).toBe(503);
    await neuron.call("/resume", { method: "POST" });
    expect((await neuron.chat({ model: "alpha" })).status).toBe(200);
  });

  test.each([
    { body: {}, code: "invalid_request_body", status: 422 },
    { body: { model_id: "x", parallel: 0 }, code: "invalid_request_body", status: 422 },
    { body: { model_id: "x", source: "s3://bucket/x" }, code: "source_unsupported", status: 400 },
    { body: { model_id: "x", source: "file:/etc/hostname" }, code: "source_forbidden", status: 403 },
  ])("$body is refused as $code", async ({ body, code, status }) => {
    await using neuron = await startTestNeuron();
    expect(await neuron.load<WireError>(body)).toMatchObject({ status, body: { error: { code } } });
  });
});

describe("what the neuron tells", () => {
  test("one model by its name, slash and all", async () => {
    await using neuron = await startTestNeuron();
    mkdirSync(join(neuron.store, "org"));
    writeFakeModel(neuron.store, "org/alpha");
    await neuron.load({ model_id: "org/alpha" });
    expect(await neuron.call("/models/org%2Falpha")).toMatchObject({
      status: 200,
      body: { id: "org/alpha" },
    });
    expect(await neuron.call("/models/other")).toMatchObject({ status: 404 });
    expect(await neuron.call("/jobs/other")).toMatchObject({
      status: 404,
      body: { error: { code: "job_not_found" } },
    });
  });

  test("version, discovery, health, metrics", async () => {
    await using neuron = await startTestNeuron();
    writeFakeModel(neuron.store, "alpha");
    await neuron.load({ model_id: "alpha", parallel: 3 });
    await neuron.chat({ model: "alpha" });
    const version = await neuron.call<Version>("/version");
    expect(version.body.package_version).toMatch(/^\d+\.\d+\.\d+/);
    const discovery = await neuron.call<Discovery>("/discovery");
    expect(discovery.body).toMatchObject({
      harnesses: ["llama", "openai"],
      devices: [{ index: 0, kind: "cpu" }],
    });
    expect(discovery.body.cuda_unavailable_reason).toBeNull();
    const health = await neuron.call<Health>("/health");
    expect(health.body.models).toEqual([
      {
        id: "alpha",
        in_flight: 0,
        queue_depth: 0,
        max_in_flight: 3,
        max_queue_depth: 24,
        rejected_queue_full: 0,
      },
    ]);
    expect(health.body.devices[0]).toMatchObject({ index: 0, vram_used_mb: 64 });
    const metrics = await neuron.call<string>("/metrics");
    expect(metrics.body).toContain('cortex_neuron_requests_total{model="alpha",outcome="ok"} 1');
    expect(metrics.body).toContain("cortex_neuron_resident_models 1");
    expect(metrics.body).toMatch(/cortex_neuron_load_seconds_bucket\{le="[^"]+",outcome="done"\} 1/);
  });
});

describe("who may talk to it", () => {
  test("a token is asked for everywhere but at /version and /health", async () => {
    await using neuron = await startTestNeuron({ token: "0123456789abcdef0123" });
    for (const path of ["/models", "/discovery", "/metrics", "/jobs", "/nothing"]) {
      expect((await neuron.call(path)).status, path).toBe(401);
      expect((await neuron.call(path, { headers: { authorization: "Bearer wrong" } })).status, path).toBe(
        401,
      );
    }
    expect((await neuron.chat({ model: "x" })).status).toBe(401);
    expect((await neuron.call("/version")).status).toBe(200);
    expect((await neuron.call("/health")).status).toBe(200);
    const right = await neuron.call("/models", { headers: { authorization: "Bearer 0123456789abcdef0123" } });
    expect(right.status).toBe(200);
  });

  test("a web page cannot act on a neuron without a token", async () => {
    await using neuron = await startTestNeuron();
    const asPage = { origin: "https://evil.example" };
    expect((await neuron.call("/drain", { method: "POST", headers: asPage })).status).toBe(401);
    const untyped = await neuron.call("/models/unload", {
      method: "POST",
      headers: { "content-type": "text/plain" },
    });
    expect(untyped.body.error.code).toBe("unsupported_media_type");
  });

  test("an open address needs a token, and a taken port is told", async () => {
    await expect(startTestNeuron({ host: "0.0.0.0" })).rejects.toMatchObject({ code: "bind_needs_token" });
    const other = createServer();
    const port = await new Promise<number>((resolve) => {
      other.listen(0, "127.0.0.1", () => {
        const address = other.address();
        resolve(typeof address === "object" && address !== null ? address.port : 0);
      });
    });
    await expect(startTestNeuron({ port })).rejects.toMatchObject({ code: "address_in_use" });
    await new Promise((resolve) => other.close(resolve));
  });
});
