import OpenAI from "openai";
import { describe, expect, test } from "vitest";
import type { Fleet } from "../../src/fleet/schema/fleet-schema.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { residentModel, type FakeNeuron } from "../support/neuron/fake-neuron.ts";
import {
  advanceUntil,
  ask,
  fakeNeuron,
  fleetOf,
  gatewayFor,
  jsonOf,
  loadWaiters,
  metricsOf,
  received,
  watched,
} from "./gateway-bench.ts";

const MODEL = "org/cold";

const withoutLinger = (fleet: Fleet): Fleet => ({
  ...fleet,
  gateway: { ...fleet.gateway, load_linger_secs: 0 },
});

const loadRequested = (fake: FakeNeuron): boolean => fake.callsTo("POST", "/models/load").length > 0;

describe("single flight", () => {
  test("20 concurrent cold requests make one load, on the pinned neuron of three", async () => {
    const [beast, benjy, quadbrat] = await Promise.all([
      fakeNeuron({ load: { kind: "wait" } }),
      fakeNeuron({ load: { kind: "wait" } }),
      fakeNeuron({ load: { kind: "wait" } }),
    ]);
    const fleet = fleetOf({ beast: beast.url, benjy: benjy.url, quadbrat: quadbrat.url }, [
      { id: MODEL, pinned_on: ["benjy"], context: 2048, parallel: 2 },
    ]);
    const gateway = await gatewayFor(fleet);
    const asked = Array.from({ length: 20 }, (_, index) => ask(gateway, MODEL, { stream: index % 2 === 0 }));
    await expect.poll(() => loadWaiters(gateway)).toBe(20);
    benjy.finishLoad(MODEL);
    const answers = await Promise.all(asked);
    expect(answers.map((answer) => answer.status)).toEqual(Array.from({ length: 20 }, () => 200));
    for (const answer of answers) expect((await received(answer)).complete).toBe(true);
    expect(benjy.callsTo("POST", "/models/load")).toHaveLength(1);
    expect(beast.callsTo("POST", "/models/load")).toHaveLength(0);
    expect(quadbrat.callsTo("POST", "/models/load")).toHaveLength(0);
    expect(JSON.parse(benjy.callsTo("POST", "/models/load")[0]?.body ?? "")).toMatchObject({
      model_id: MODEL,
      context: 2048,
      parallel: 2,
      origin: { kind: "request", fleet: "test" },
    });
    const metrics = await metricsOf(gateway);
    expect(metrics).toContain(`cortex_cold_loads_total{model="org/cold",node="benjy",outcome="loaded"} 1`);
    expect(metrics).toContain(`cortex_cold_starts_total{model="org/cold",node="benjy"} 20`);
  });

  test("a load that somebody else began is waited for, not begun again or cancelled", async () => {
    const neuron = await fakeNeuron({
      models: [residentModel(MODEL, { status: "loading" })],
      load: { kind: "wait" },
    });
    const gateway = await gatewayFor(fleetOf({ n1: neuron.url }, [{ id: MODEL }]));
    const leave = new AbortController();
    const leaver = ask(gateway, MODEL, { signal: leave.signal }).catch(() => undefined);
    const stayer = ask(gateway, MODEL);
    await expect.poll(() => loadWaiters(gateway)).toBe(2);
    leave.abort();
    await leaver;
    await neuron.until(loadRequested);
    // The question joins the job: no condition, and nobody is named who should give way.
    expect(neuron.callsTo("POST", "/models/load")[0]?.headers["if-match"]).toBeUndefined();
    neuron.finishLoad(MODEL);
    expect((await stayer).status).toBe(200);
    expect(neuron.callsTo("POST", "/models/")).toHaveLength(1);
    expect(neuron.callsTo("DELETE", "/jobs")).toHaveLength(0);
  });
});

describe("loads that fail", () => {
  test("every waiter is told what the fleet must mend; the next request does not load it again at once", async () => {
    const neuron = await fakeNeuron({ load: { kind: "wait" } });
    const gateway = await gatewayFor(fleetOf({ n1: neuron.url }, [{ id: MODEL }]));
    const asked = Array.from({ length: 5 }, (_, index) => ask(gateway, MODEL, { stream: index < 2 }));
    await expect.poll(() => loadWaiters(gateway)).toBe(5);
    neuron.finishLoad(MODEL, { code: "model_file_invalid", message: "not a GGUF" });
    for (const answer of await Promise.all(asked)) {
      expect(answer.status).toBe(500);
      expect((await jsonOf(answer))["error"]).toMatchObject({
        code: "load_failed",
        message: "org/cold cannot be loaded now: n1: its file is not a model that the engine can load",
      });
    }
    const again = await ask(gateway, MODEL);
    expect(again.status).toBe(500);
    expect(Number(again.headers.get("retry-after"))).toBeGreaterThan(5);
    expect(neuron.callsTo("POST", "/models/load")).toHaveLength(1);
    const fleet = await jsonOf(await fetch(`${gateway.address}/fleet`));
    expect(fleet["failed_loads"]).toMatchObject([
      { model: MODEL, node: "n1", code: "model_file_invalid", message: "not a GGUF", times: 1 },
    ]);
  });

  test("what can never fit is said once: no time to come back at, and SDKs do not come back", async () => {
    const neuron = await fakeNeuron({ load: { kind: "wait" } });
    const gateway = await gatewayFor(fleetOf({ n1: neuron.url }, [{ id: MODEL }]));
    const client = new OpenAI({ baseURL: `${gateway.address}/v1`, apiKey: "unused", maxRetries: 3 });
    const asked = client.chat.completions
      .create({ model: MODEL, messages: [{ role: "user", content: "hi" }] })
      .catch((thrown: unknown) => thrown);
    await neuron.until(loadRequested);
    neuron.finishLoad(MODEL, {
      code: "insufficient_vram",
      message: "needs 98 GiB",
      required_mb: 100_000,
      total_mb: 24_576,
    });
    const error = await asked;
    expect(error).toMatchObject({ status: 404, code: "no_feasible_neuron" });
    expect(String(error)).toContain("it takes 100000 MiB, but its largest device has 24576");
    expect(neuron.callsTo("POST", "/models/load")).toHaveLength(1);
    const again = await ask(gateway, MODEL);
    expect([again.status, again.headers.get("retry-after")]).toEqual([404, null]);
    expect(neuron.callsTo("POST", "/models/load")).toHaveLength(1);
    const requests = await jsonOf(await fetch(`${gateway.address}/fleet/requests`));
    expect(requests["requests"]).toHaveLength(2);
  });

  test("a neuron that cannot load it is passed over for the next", async () => {
    const broken = await fakeNeuron({
      load: { kind: "fail", code: "source_not_found", message: "no /srv/m" },
    });
    const other = await fakeNeuron();
    const gateway = await gatewayFor(fleetOf({ a: broken.url, b: other.url }, [{ id: MODEL }]));
    const answer = await ask(gateway, MODEL);
    expect([answer.status, answer.headers.get("x-cortex-neuron")]).toEqual([200, "b"]);
    expect(broken.callsTo("POST", "/models/load")).toHaveLength(1);
  });

  test("a neuron that dies while it loads: another feasible one takes over", async () => {
    const dying = await fakeNeuron({ load: { kind: "wait" } });
    const other = await fakeNeuron();
    const fleet = fleetOf({ a: dying.url, b: other.url }, [{ id: MODEL }]);
    const gateway = await gatewayFor(fleet);
    const asked = ask(gateway, MODEL);
    await dying.until(loadRequested);
    await dying.stop();
    await dying.restart(0);
    expect((await asked).headers.get("x-cortex-neuron")).toBe("b");
  });

  test("a load that another gateway cancelled is begun again", async () => {
    const neuron = await fakeNeuron({ load: { kind: "wait" } });
    const gateway = await gatewayFor(fleetOf({ n1: neuron.url }, [{ id: MODEL }]));
    const asked = ask(gateway, MODEL);
    await neuron.until(loadRequested);
    neuron.loadScript = { kind: "succeed" };
    neuron.finishLoad(MODEL, { code: "job_cancelled", message: "cancelled" });
    expect((await asked).status).toBe(200);
    expect(neuron.callsTo("POST", "/models/load")).toHaveLength(2);
  });
});

describe("clients that leave during a load", () => {
  test("the load goes on while another waits, and is cancelled when nobody comes back", async () => {
    const neuron = await fakeNeuron({ load: { kind: "wait" } });
    const gateway = await gatewayFor(withoutLinger(fleetOf({ n1: neuron.url }, [{ id: MODEL }])));
    const leaving = [new AbortController(), new AbortController()];
    const asked = leaving.map(({ signal }, index) =>
      ask(gateway, MODEL, { signal, stream: index === 0 }).catch(() => undefined),
    );
    await expect.poll(() => loadWaiters(gateway)).toBe(2);
    leaving[0]?.abort();
    await expect.poll(() => loadWaiters(gateway)).toBe(1);
    expect(neuron.callsTo("DELETE", "/jobs")).toHaveLength(0);
    leaving[1]?.abort();
    await neuron.until((fake) => fake.callsTo("DELETE", "/jobs/job-1").length === 1);
    await Promise.all(asked);
    const metrics = await metricsOf(gateway);
    expect(metrics).toContain(`cortex_client_disconnects_total{model="org/cold",phase="loading"} 2`);
    expect(metrics).toContain(`outcome="cancelled"} 1`);
  });

  test("a model that is declared resident goes on loading without anybody", async () => {
    const neuron = await fakeNeuron({ load: { kind: "wait" } });
    const gateway = await gatewayFor(fleetOf({ n1: neuron.url }, [{ id: MODEL, replicas: 1 }]));
    const leave = new AbortController();
    const asked = ask(gateway, MODEL, { signal: leave.signal }).catch(() => undefined);
    await neuron.until((fake) => fake.callsTo("GET", "/jobs/").length > 0);
    leave.abort();
    await asked;
    await expect
      .poll(() => metricsOf(gateway))
      .toContain(`cortex_client_disconnects_total{model="org/cold",phase="loading"} 1`);
    neuron.finishLoad(MODEL);
    await expect.poll(() => metricsOf(gateway)).toContain(`outcome="loaded"} 1`);
    expect(neuron.callsTo("DELETE", "/jobs")).toHaveLength(0);
  });
});

describe("waiting, on a manual clock", () => {
  test("a streaming client gets a comment each second, then its stream", async () => {
    const clock = new ManualClock();
    const neuron = await fakeNeuron({ load: { kind: "wait" } });
    const gateway = await gatewayFor(fleetOf({ n1: neuron.url }, [{ id: MODEL }]), { clock });
    const asked = ask(gateway, MODEL, { stream: true });
    await neuron.until(loadRequested);
    await clock.advance(1000);
    const response = await asked;
    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toContain("text/event-stream");
    const reading = received(response);
    await clock.advance(2000);
    neuron.finishLoad(MODEL);
    await advanceUntil(clock, () => neuron.callsTo("POST", "/v1/").length > 0);
    const { text, complete } = await reading;
    expect(complete).toBe(true);
    expect(text).toMatch(/^: loading org\/cold on n1/);
    expect(text.match(/^: loading/gm)?.length).toBeGreaterThanOrEqual(3);
    expect(text.endsWith("data: [DONE]\n\n")).toBe(true);
  });

  test("a failure after the first comment is an error event without [DONE]", async () => {
    const clock = new ManualClock();
    const neuron = await fakeNeuron({ load: { kind: "wait" } });
    const gateway = await gatewayFor(fleetOf({ n1: neuron.url }, [{ id: MODEL }]), { clock });
    const asked = ask(gateway, MODEL, { stream: true });
    await neuron.until(loadRequested);
    await clock.advance(1000);
    const reading = received(await asked);
    neuron.finishLoad(MODEL, { code: "load_failed", message: "the engine said no" });
    await advanceUntil(clock, watched(reading));
    const { text, complete } = await reading;
    expect(complete).toBe(false);
    expect(text).toContain(`"code":"load_failed"`);
    expect(text).not.toContain("[DONE]");
  });

  test("a non-streaming request waits to its deadline; the load goes on for the next one", async () => {
    const clock = new ManualClock();
    const neuron = await fakeNeuron({ load: { kind: "wait" } });
    const gateway = await gatewayFor(fleetOf({ n1: neuron.url }, [{ id: MODEL }]), {
      clock,
      loadWaitMs: 10_000,
    });
    const asked = ask(gateway, MODEL);
    await neuron.until(loadRequested);
    await clock.advance(10_000);
    const response = await asked;
    expect(response.status).toBe(504);
    expect(response.headers.get("retry-after")).toBe("5");
    expect((await jsonOf(response))["error"]).toMatchObject({ code: "load_timeout" });
    const again = ask(gateway, MODEL);
    neuron.finishLoad(MODEL);
    await advanceUntil(clock, watched(again));
    expect((await again).status).toBe(200);
    expect(neuron.callsTo("POST", "/models/load")).toHaveLength(1);
    expect(neuron.callsTo("DELETE", "/jobs")).toHaveLength(0);
  });

  test("the queue of a load is bounded", async () => {
    const neuron = await fakeNeuron({ load: { kind: "wait" } });
    const gateway = await gatewayFor(fleetOf({ n1: neuron.url }, [{ id: MODEL }]), { maxWaitersPerModel: 2 });
    const waiting = [ask(gateway, MODEL), ask(gateway, MODEL)];
    await expect.poll(() => loadWaiters(gateway)).toBe(2);
    const refused = await ask(gateway, MODEL);
    expect(refused.status).toBe(503);
    expect((await jsonOf(refused))["error"]).toMatchObject({ code: "queue_full" });
    expect(refused.headers.get("retry-after")).not.toBeNull();
    neuron.finishLoad(MODEL);
    for (const answer of await Promise.all(waiting)) expect(answer.status).toBe(200);
  });
});
