import { createServer } from "node:net";
import { describe, expect, test } from "vitest";
import { readServed } from "../../src/controller/observe/io/read-served.ts";
import { systemClock } from "../../src/platform/system-clock.ts";
import { fleetStateSchema, gatewayHealthSchema, modelListSchema } from "../../src/protocol/gateway-api.ts";
import { keyBlockSchema } from "../../src/fleet/schema/fleet-schema.ts";
import { hashOfSecret } from "../../src/gateway/keys/key-ring.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { chunkEvent, residentModel, TEST_DEVICE } from "../support/neuron/fake-neuron.ts";
import {
  advanceUntil,
  ask,
  fakeNeuron,
  fleetOf,
  gatewayFor,
  jsonOf,
  metricsOf,
  post,
  received,
  watched,
} from "./gateway-bench.ts";

const MODEL = "org/a";

/** A port of this machine on which nobody listens. */
async function closedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === "object" && address !== null ? address.port : 0;
}

describe("what the gateway says of the fleet", () => {
  test("/v1/models, /health, /version and /fleet", async () => {
    const neuron = await fakeNeuron({
      models: [residentModel(MODEL), residentModel("org/stray", { servable: { ok: false, reason: "vram" } })],
    });
    const gateway = await gatewayFor(
      fleetOf({ n1: neuron.url }, [{ id: MODEL }, { id: "org/cold", limit: { context: 8192 } }], {
        "fleet/default": MODEL,
      }),
      { build: { packageVersion: "1.2.3", gitSha: "abc" } },
    );
    const get = async (path: string) => (await fetch(gateway.address + path)).json();
    const list = modelListSchema.parse(await get("/v1/models"));
    expect(list.data.map((entry) => [entry.id, entry.loaded])).toEqual([
      ["fleet/default", true],
      [MODEL, true],
      ["org/cold", false],
      ["org/stray", true],
    ]);
    expect(await get("/v1/models/fleet%2Fdefault")).toMatchObject({ id: "fleet/default", alias_of: MODEL });
    expect(await get("/v1/models/org/cold")).toMatchObject({ max_model_len: 8192, feasible_on: ["n1"] });
    const missing = await get("/v1/models/org/clod");
    expect(missing).toMatchObject({ error: { code: "model_not_found" } });
    expect(JSON.stringify(missing)).toContain(`did you mean \\"org/cold\\"?`);
    const health = gatewayHealthSchema.parse(await get("/health"));
    expect(health).toMatchObject({ status: "impaired", nodes: { healthy: 1, total: 1 } });
    expect(health.unservable).toEqual([{ node: "n1", model: "org/stray", reason: "vram", detail: "" }]);
    expect(await get("/")).toEqual(health);
    expect(await get("/version")).toMatchObject({ package_version: "1.2.3", git_sha: "abc" });
    const state = fleetStateSchema.parse(await get("/fleet"));
    expect(state.neurons[0]).toMatchObject({ name: "n1", health: "healthy", endpoint: neuron.url });
    expect(state.neurons[0]?.devices[0]).toMatchObject({ index: 0, vram_free_mb: 24_576 });
    expect(state.declared.aliases).toEqual({ "fleet/default": MODEL });
    expect(state.declared.models.map(({ id }) => id)).toEqual([MODEL, "org/cold"]);
  });

  test("a plan learns what it serves: no hash of a key, no password, and what this machine's environment decides", async () => {
    const apiKey = "of-the-operator";
    const hash = hashOfSecret(apiKey);
    const fleet = {
      ...fleetOf({}, [{ id: MODEL }]),
      keys: [keyBlockSchema.parse({ id: "ci", hash, role: "admin" })],
      ledger: { url: "rediss://:hunter22@ledger.internal:6379/0" },
    };
    const gateway = await gatewayFor(fleet, { overridden: ["ledger.url"] });
    const headers = { authorization: `Bearer ${apiKey}` };
    const text = await (await fetch(`${gateway.address}/fleet`, { headers })).text();
    expect(text).not.toMatch(/hunter22/);
    expect(text).not.toContain(hash.slice("sha256:".length));
    const seen = await readServed(gateway.address, { clock: systemClock, apiKey });
    expect(seen.served?.declared).toMatchObject({
      keys: [{ id: "ci", models: ["*"] }],
      overridden: ["ledger.url"],
    });
    const nobody = await readServed(`http://127.0.0.1:${await closedPort()}`, { clock: systemClock });
    expect(nobody.remark).toMatch(/^no gateway answers at /);
    const metrics = await readServed(gateway.metricsAddress, { clock: systemClock });
    expect(metrics.remark).toMatch(/is not a gateway of cortex$/);
  });

  test("the exposition has true figures and no labels that clients invent", async () => {
    const neuron = await fakeNeuron({ models: [residentModel(MODEL)] });
    neuron.loads.set(MODEL, {
      id: MODEL,
      in_flight: 1,
      queue_depth: 2,
      max_in_flight: 4,
      max_queue_depth: 8,
      rejected_queue_full: 3,
    });
    const gateway = await gatewayFor(fleetOf({ n1: neuron.url }, [{ id: MODEL }], { nick: MODEL }));
    await received(await ask(gateway, "nick", { stream: true }));
    await ask(gateway, "invented-by-a-client");
    const response = await fetch(`${gateway.metricsAddress}/metrics`);
    expect(response.headers.get("content-type")).toContain("text/plain");
    const text = await response.text();
    for (const line of [
      `cortex_requests_total{model="org/a",node="n1",status="200"} 1`,
      `cortex_requests_total{model="unknown",node="",status="404"} 1`,
      `cortex_request_errors_total{model="unknown",node="",code="model_not_found"} 1`,
      `cortex_time_to_first_token_seconds_count{model="org/a",node="n1"} 1`,
      `cortex_request_duration_seconds_count{model="org/a",node="n1"} 1`,
      `cortex_requests_in_flight{model="org/a"} 0`,
      `cortex_neuron_healthy{node="n1"} 1`,
      `cortex_model_queue_depth{node="n1",model="org/a"} 2`,
      `cortex_model_rejections_total{node="n1",model="org/a",reason="queue_full"} 3`,
      `cortex_device_vram_free_mb{node="n1",device="0"} 24576`,
    ]) {
      expect(text).toContain(line);
    }
    expect(text).not.toContain("invented-by-a-client");
    neuron.models.clear();
    neuron.loads.clear();
    await expect.poll(() => metricsOf(gateway)).not.toContain("cortex_model_queue_depth{");
  });

  test("neither prompts nor answers reach the log", async () => {
    const lines: string[] = [];
    const neuron = await fakeNeuron({
      models: [residentModel(MODEL)],
      answer: { kind: "tokens", tokens: ["ANSWER"] },
    });
    const gateway = await gatewayFor(fleetOf({ n1: neuron.url }, [{ id: MODEL }]), {
      onLog: (line) => lines.push(line),
      neuronAccess: { token: "TOKEN" },
    });
    const headers = { authorization: "Bearer KEY", "x-request-id": "req-42" };
    await ask(gateway, MODEL, { headers, content: "PROMPT" });
    await post(gateway, "/v1/chat/completions", `{"model":"${MODEL}",PROMPT}`);
    await expect.poll(() => lines.join("")).toContain("req-42");
    expect(lines.join("")).not.toMatch(/PROMPT|ANSWER|TOKEN|KEY/);
  });

  test("an address of this machine alone is not warned of", async () => {
    const lines: string[] = [];
    await gatewayFor(fleetOf({}), { onLog: (line) => lines.push(line) });
    expect(lines.join("")).toContain("gateway listens");
    expect(lines.join("")).not.toContain("asks nobody for a key");
  });

  test("a taken port is named", async () => {
    const first = await gatewayFor(fleetOf({}));
    const port = Number(new URL(first.address).port);
    await expect(gatewayFor(fleetOf({}), { listen: { host: "127.0.0.1", port } })).rejects.toMatchObject({
      code: "address_in_use",
    });
  });
});

describe("neurons that do not answer", () => {
  test("a silent and a dead neuron delay nobody", async () => {
    const clock = new ManualClock();
    const silent = await fakeNeuron();
    silent.silentPaths = ["/"];
    const alive = await fakeNeuron({ models: [residentModel(MODEL)] });
    const fleet = fleetOf({ a: silent.url, b: `http://127.0.0.1:${await closedPort()}`, c: alive.url }, [
      { id: MODEL },
      { id: "org/far", pinned_on: ["a"] },
    ]);
    const starting = gatewayFor(fleet, { clock, firstPollGraceMs: 500, pollIntervalMs: 1000 });
    await silent.until((fake) => fake.calls.length >= 2);
    await expect.poll(() => alive.callsTo("GET", "/discovery").length).toBe(1);
    await expect.poll(() => clock.sleeping).toBeGreaterThan(0);
    await clock.advance(500);
    const gateway = await starting;
    expect((await ask(gateway, MODEL)).headers.get("x-cortex-neuron")).toBe("c");
    const far = await ask(gateway, "org/far");
    expect(far.status).toBe(503);
    expect(far.headers.get("retry-after")).toBe("3");
    expect((await jsonOf(far))["error"]).toMatchObject({ code: "feasible_neuron_unhealthy" });
    const asked = alive.callsTo("GET", "/health").length;
    await clock.advance(1000);
    await alive.until((fake) => fake.callsTo("GET", "/health").length > asked);
    const state = fleetStateSchema.parse(await (await fetch(`${gateway.address}/fleet`)).json());
    expect(state.neurons.map((neuron) => [neuron.name, neuron.health])).toEqual([
      ["a", "unknown"],
      ["b", "unhealthy"],
      ["c", "healthy"],
    ]);
  });

  test("three misses make a neuron unhealthy, one answer brings it back", async () => {
    const neuron = await fakeNeuron({ models: [residentModel(MODEL)] });
    const { port } = neuron;
    const gateway = await gatewayFor(fleetOf({ n1: neuron.url }, [{ id: MODEL }]));
    const healthOf = async () => jsonOf(await fetch(`${gateway.address}/health`));
    expect(await healthOf()).toMatchObject({ status: "ok" });
    await neuron.stop();
    await expect.poll(healthOf).toMatchObject({ status: "degraded", nodes: { healthy: 0, total: 1 } });
    const refused = await ask(gateway, MODEL);
    expect(refused.status).toBe(503);
    expect((await jsonOf(refused))["error"]).toMatchObject({ code: "no_healthy_neuron" });
    const list = modelListSchema.parse(await (await fetch(`${gateway.address}/v1/models`)).json());
    expect(list.data).toMatchObject([{ id: MODEL, loaded: false, feasible_on: [] }]);
    await neuron.restart(port);
    await expect.poll(healthOf).toMatchObject({ status: "ok" });
    expect(neuron.callsTo("GET", "/discovery")).toHaveLength(2);
  });
});

describe("close()", () => {
  test("a stream in flight may end within the grace period", async () => {
    const clock = new ManualClock();
    const neuron = await fakeNeuron({
      models: [residentModel(MODEL)],
      answer: { kind: "hold", tokens: ["Hel"] },
    });
    const gateway = await gatewayFor(fleetOf({ n1: neuron.url }, [{ id: MODEL }]), {
      clock,
      closeGraceMs: 5000,
    });
    const reading = received(await ask(gateway, MODEL, { stream: true }));
    const closing = gateway.close();
    const refused = await ask(gateway, MODEL);
    expect(refused.status).toBe(503);
    expect(refused.headers.get("retry-after")).toBe("15");
    expect((await fetch(`${gateway.address}/ready`)).status).toBe(503);
    neuron.release();
    const { text, complete } = await reading;
    expect(complete).toBe(true);
    expect(text.endsWith("data: [DONE]\n\n")).toBe(true);
    await closing;
  });

  test("a stream that does not end is ended with an error event", async () => {
    const clock = new ManualClock();
    const neuron = await fakeNeuron({
      models: [residentModel(MODEL)],
      answer: { kind: "hold", tokens: ["Hel"] },
    });
    const gateway = await gatewayFor(fleetOf({ n1: neuron.url }, [{ id: MODEL }]), {
      clock,
      closeGraceMs: 5000,
    });
    const reading = received(await ask(gateway, MODEL, { stream: true }));
    const closing = gateway.close();
    await clock.advance(5000);
    const { text, complete } = await reading;
    expect(complete).toBe(false);
    expect(text.startsWith(chunkEvent(MODEL, "Hel"))).toBe(true);
    expect(text).toContain(`"code":"draining"`);
    expect(text).not.toContain("[DONE]");
    await closing;
    await neuron.until((fake) => fake.abandoned > 0);
    expect(clock.sleeping).toBe(0);
  });

  test("requests that wait for a load are told, and their load goes on for whoever comes back", async () => {
    const clock = new ManualClock();
    const neuron = await fakeNeuron({ load: { kind: "wait" } });
    const gateway = await gatewayFor(fleetOf({ n1: neuron.url }, [{ id: MODEL }]), {
      clock,
      closeGraceMs: 5000,
    });
    const asked = ask(gateway, MODEL);
    await neuron.until((fake) => fake.callsTo("POST", "/models/load").length === 1);
    await expect.poll(() => metricsOf(gateway)).toContain(`cortex_load_waiters{model="org/a"} 1`);
    const closing = gateway.close();
    await clock.advance(5000);
    const response = await asked;
    expect(response.status).toBe(503);
    expect((await jsonOf(response))["error"]).toMatchObject({ code: "draining" });
    await closing;
    expect(neuron.callsTo("DELETE", "/jobs/")).toHaveLength(0);
  });

  test("a neuron that takes no note of a cancellation holds it up for a second, not more", async () => {
    const clock = new ManualClock();
    const neuron = await fakeNeuron({ load: { kind: "wait" } });
    const fleet = fleetOf({ n1: neuron.url }, [{ id: MODEL }]);
    const impatient = { ...fleet, gateway: { ...fleet.gateway, load_linger_secs: 0 } };
    const gateway = await gatewayFor(impatient, { clock, closeGraceMs: 5000 });
    const asked = ask(gateway, MODEL);
    await expect.poll(() => metricsOf(gateway)).toContain(`cortex_load_waiters{model="org/a"} 1`);
    await neuron.until((fake) => fake.callsTo("POST", "/models/load").length === 1);
    neuron.silentPaths = ["/"];
    const closing = gateway.close();
    await clock.advance(5000);
    expect((await asked).status).toBe(503);
    await neuron.until((fake) => fake.callsTo("DELETE", "/jobs/").length === 1);
    const waitedMs = clock.monotonicMs();
    await advanceUntil(clock, watched(closing));
    expect(clock.monotonicMs() - waitedMs).toBeLessThan(3000);
  });
});

test("a neuron one version ahead, with words that are not known here, serves as before", async () => {
  const newer = residentModel("org/new", { status: "parked" as "loaded" });
  const neuron = await fakeNeuron({
    models: [residentModel(MODEL), newer],
    devices: [{ ...TEST_DEVICE, kind: "tpu" as "cpu" }],
  });
  const gateway = await gatewayFor(fleetOf({ n1: neuron.url }, [{ id: MODEL }]));
  expect((await ask(gateway, MODEL)).status).toBe(200);
  const state = fleetStateSchema.parse(await (await fetch(`${gateway.address}/fleet`)).json());
  expect(state.neurons[0]).toMatchObject({ health: "healthy", devices: [{ kind: "unknown" }] });
  expect(state.neurons[0]?.models.map(({ id, status }) => [id, status])).toEqual([
    [MODEL, "loaded"],
    ["org/new", "unknown"],
  ]);
});
