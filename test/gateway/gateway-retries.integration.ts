import { describe, expect, test } from "vitest";
import { FULL_RETRY_BUDGET } from "../../src/gateway/retry-policy.ts";
import { envelope, residentModel } from "../support/neuron/fake-neuron.ts";
import { ask, fakeNeuron, fleetOf, gatewayFor, jsonOf, metricsOf, received } from "./gateway-bench.ts";

const MODEL = "org/a";

describe("retries before the first byte", () => {
  test("a refused connection is retried on another replica", async () => {
    const dead = await fakeNeuron({ models: [residentModel(MODEL)] });
    const alive = await fakeNeuron({ models: [residentModel(MODEL)] });
    // Polls are out of the way: the gateway still believes in the dead one.
    const gateway = await gatewayFor(fleetOf({ a: dead.url, b: alive.url }, [{ id: MODEL }]), {
      pollIntervalMs: 600_000,
    });
    await dead.stop();
    const response = await ask(gateway, MODEL);
    await dead.restart(0);
    expect(response.status).toBe(200);
    expect(response.headers.get("x-cortex-neuron")).toBe("b");
    expect(await metricsOf(gateway)).toContain(
      `cortex_retries_total{model="org/a",reason="connection_failed"} 1`,
    );
  });

  test("the only replica is dead: another neuron loads the model", async () => {
    const dead = await fakeNeuron({ models: [residentModel(MODEL)] });
    const other = await fakeNeuron();
    const gateway = await gatewayFor(fleetOf({ a: dead.url, b: other.url }, [{ id: MODEL }]), {
      pollIntervalMs: 600_000,
    });
    await dead.stop();
    const response = await ask(gateway, MODEL);
    await dead.restart(0);
    expect(response.status).toBe(200);
    expect(response.headers.get("x-cortex-neuron")).toBe("b");
    expect(other.callsTo("POST", "/models/load")).toHaveLength(1);
  });

  test("the only replica lost its model in a crash: it is loaded anew and answers", async () => {
    const neuron = await fakeNeuron({ models: [residentModel(MODEL)] });
    const gateway = await gatewayFor(fleetOf({ n1: neuron.url }, [{ id: MODEL }]), {
      pollIntervalMs: 600_000,
    });
    neuron.answer = { kind: "reset" };
    const asked = ask(gateway, MODEL);
    await neuron.until((fake) => fake.callsTo("POST", "/v1/").length === 1);
    neuron.models.delete(MODEL);
    neuron.answer = { kind: "tokens", tokens: ["back"] };
    const response = await asked;
    expect(response.status).toBe(200);
    expect(neuron.callsTo("POST", "/models/load")).toHaveLength(1);
  });

  test("a neuron without the model we believed in: the view is refreshed and the model loaded", async () => {
    const neuron = await fakeNeuron({ models: [residentModel(MODEL)] });
    const gateway = await gatewayFor(fleetOf({ n1: neuron.url }, [{ id: MODEL }]), {
      pollIntervalMs: 600_000,
    });
    neuron.models.delete(MODEL);
    expect((await ask(gateway, MODEL)).status).toBe(200);
    expect(neuron.callsTo("POST", "/models/load")).toHaveLength(1);
    expect(await metricsOf(gateway)).toContain(`cortex_retries_total{model="org/a",reason="stale_view"} 1`);
  });

  test("a full replica: the other one; both full: the neuron's own words", async () => {
    const full = { kind: "status", status: 503, body: envelope("queue_full", "8 wait already") } as const;
    const first = await fakeNeuron({ models: [residentModel(MODEL)], answer: full });
    const second = await fakeNeuron({ models: [residentModel(MODEL)] });
    const gateway = await gatewayFor(fleetOf({ a: first.url, b: second.url }, [{ id: MODEL }]));
    expect((await ask(gateway, MODEL)).headers.get("x-cortex-neuron")).toBe("b");
    second.answer = full;
    const refused = await ask(gateway, MODEL);
    expect(refused.status).toBe(503);
    expect(await refused.json()).toEqual(full.body);
  });

  test.each([
    { what: "a comment", answer: { kind: "reset_after_comment" } as const },
    {
      what: "an error event of its own",
      answer: {
        kind: "raw_stream",
        chunks: [
          ": keep-alive\n\n",
          `data: ${JSON.stringify(envelope("worker_crashed", "died in prefill"))}\n\n`,
        ],
      } as const,
    },
  ])("a stream that ends after $what has not begun to answer: another replica does", async ({ answer }) => {
    const first = await fakeNeuron({ models: [residentModel(MODEL)], answer });
    const second = await fakeNeuron({ models: [residentModel(MODEL)] });
    const gateway = await gatewayFor(fleetOf({ a: first.url, b: second.url }, [{ id: MODEL }]));
    const { text, complete } = await received(await ask(gateway, MODEL, { stream: true }));
    expect(complete).toBe(true);
    expect(text).toContain("Hello");
    expect(text).not.toContain("error");
    expect(text.endsWith("data: [DONE]\n\n")).toBe(true);
  });

  test("a stream that begins with an error is a plain error while nothing is sent", async () => {
    const body = envelope("context_length_exceeded", "too long");
    const answer = { kind: "raw_stream", chunks: [`data: ${JSON.stringify(body)}\n\n`] } as const;
    const neuron = await fakeNeuron({ models: [residentModel(MODEL)], answer });
    const gateway = await gatewayFor(fleetOf({ n1: neuron.url }, [{ id: MODEL }]));
    const response = await ask(gateway, MODEL, { stream: true });
    expect(response.status).toBe(400);
    expect(await response.json()).toEqual(body);
  });

  test("a model that is on its way out: another neuron loads it", async () => {
    const leaving = await fakeNeuron({ models: [residentModel(MODEL)] });
    leaving.answer = { kind: "status", status: 503, body: envelope("draining", "is being unloaded") };
    const other = await fakeNeuron();
    const gateway = await gatewayFor(fleetOf({ a: leaving.url, b: other.url }, [{ id: MODEL }]), {
      pollIntervalMs: 600_000,
    });
    leaving.models.set(MODEL, residentModel(MODEL, { status: "unloading" }));
    expect((await ask(gateway, MODEL)).headers.get("x-cortex-neuron")).toBe("b");
  });

  test("never after the first byte", async () => {
    const answer = { kind: "cut", tokens: ["Hel"] } as const;
    const first = await fakeNeuron({ models: [residentModel(MODEL)], answer });
    const second = await fakeNeuron({ models: [residentModel(MODEL)], answer });
    const gateway = await gatewayFor(fleetOf({ a: first.url, b: second.url }, [{ id: MODEL }]));
    await received(await ask(gateway, MODEL, { stream: true }));
    expect([...first.callsTo("POST", "/v1/"), ...second.callsTo("POST", "/v1/")]).toHaveLength(1);
  });

  test("a replica that resets every time: tried a few times, later each time, and its place is given back", async () => {
    const neuron = await fakeNeuron({ models: [residentModel(MODEL)], answer: { kind: "reset" } });
    const gateway = await gatewayFor(fleetOf({ n1: neuron.url }, [{ id: MODEL }]));
    const response = await ask(gateway, MODEL);
    expect(response.status).toBe(502);
    expect((await jsonOf(response))["error"]).toMatchObject({ code: "upstream_connection_error" });
    expect(neuron.callsTo("POST", "/v1/")).toHaveLength(1 + FULL_RETRY_BUDGET.replica);
    const fleet = await jsonOf(await fetch(`${gateway.address}/fleet`));
    expect(fleet).toMatchObject({ neurons: [{ models: [{ id: MODEL, outstanding: 0 }] }] });
  });

  test("all replicas fail for a while: nobody is told, as long as one is back in time", async () => {
    const neurons = [
      await fakeNeuron({ models: [residentModel(MODEL)], answer: { kind: "reset" } }),
      await fakeNeuron({ models: [residentModel(MODEL)], answer: { kind: "reset" } }),
    ];
    const [first, second] = neurons.map(({ url }) => url);
    const gateway = await gatewayFor(fleetOf({ a: first ?? "", b: second ?? "" }, [{ id: MODEL }]), {
      retryPauseMs: 100,
    });
    const asked = [ask(gateway, MODEL), ask(gateway, MODEL, { stream: true })];
    const tried = () => neurons.flatMap((neuron) => neuron.callsTo("POST", "/v1/")).length;
    await expect.poll(tried).toBeGreaterThanOrEqual(6);
    for (const neuron of neurons) neuron.answer = { kind: "tokens", tokens: ["back"] };
    const answers = await Promise.all(asked);
    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
    expect(await Promise.all(answers.map((answer) => answer.text()))).toEqual([
      expect.stringContaining("back"),
      expect.stringMatching(/back[^]*\[DONE\]/),
    ]);
  });

  test("the worker of the only replica dies: the request waits for the reload, and for a second one no more", async () => {
    const neuron = await fakeNeuron({ models: [residentModel(MODEL)] });
    const gateway = await gatewayFor(fleetOf({ n1: neuron.url }, [{ id: MODEL, replicas: 1 }]), {
      pollIntervalMs: 600_000,
    });
    neuron.answer = { kind: "status", status: 502, body: envelope("worker_crashed", "SIGSEGV") };
    neuron.models.set(MODEL, residentModel(MODEL, { status: "loading" }));
    const asked = ask(gateway, MODEL);
    await neuron.until((fake) => fake.callsTo("POST", "/v1/").length === 1);
    neuron.answer = { kind: "tokens", tokens: ["back"] };
    neuron.models.set(MODEL, residentModel(MODEL));
    expect((await asked).status).toBe(200);
    neuron.answer = { kind: "status", status: 502, body: envelope("worker_crashed", "SIGSEGV") };
    expect((await ask(gateway, MODEL, { content: "of death" })).status).toBe(502);
    expect(neuron.callsTo("POST", "/v1/")).toHaveLength(4);
  });
});

describe("load-aware choice", () => {
  test("the gateway's own open requests are not counted twice", async () => {
    const load = {
      id: MODEL,
      in_flight: 1,
      queue_depth: 0,
      max_in_flight: 4,
      max_queue_depth: 8,
      rejected_queue_full: 0,
    };
    const first = await fakeNeuron({
      models: [residentModel(MODEL)],
      answer: { kind: "hold", tokens: ["Hel"] },
    });
    const second = await fakeNeuron({ models: [residentModel(MODEL)] });
    second.loads.set(MODEL, load);
    const gateway = await gatewayFor(fleetOf({ a: first.url, b: second.url }, [{ id: MODEL }]));
    const held = await ask(gateway, MODEL, { stream: true });
    expect(held.headers.get("x-cortex-neuron")).toBe("a");
    first.loads.set(MODEL, load);
    const polled = first.callsTo("GET", "/health").length;
    await first.until((fake) => fake.callsTo("GET", "/health").length >= polled + 2);
    first.answer = { kind: "tokens", tokens: ["Hello"] };
    // One request each: the tie goes by name. Counted twice, the first one would lose.
    expect((await ask(gateway, MODEL)).headers.get("x-cortex-neuron")).toBe("a");
    first.release();
    await received(held);
  });
});
