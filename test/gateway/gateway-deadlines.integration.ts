import { describe, expect, test } from "vitest";
import { ManualClock } from "../support/manual-clock.ts";
import type { Answer } from "../support/neuron/fake-answer.ts";
import { residentModel } from "../support/neuron/fake-neuron.ts";
import { RawClient, rawPost } from "../support/raw-http.ts";
import {
  ask,
  fakeNeuron,
  fleetOf,
  fleetWith,
  gatewayFor,
  jsonOf,
  metricsOf,
  received,
} from "./gateway-bench.ts";

const MODEL = "org/a";
const TICK = { tickMs: 5 };

async function twoReplicas(answer: Answer, limits: Readonly<Record<string, unknown>> = {}) {
  const first = await fakeNeuron({ models: [residentModel(MODEL)], answer });
  const second = await fakeNeuron({ models: [residentModel(MODEL)] });
  const lines: string[] = [];
  const fleet = fleetWith({ a: first.url, b: second.url }, [{ id: MODEL }], { limits });
  const gateway = await gatewayFor(fleet, { ...TICK, onLog: (line) => lines.push(line) });
  return { first, second, gateway, lines };
}

describe("a neuron that says nothing", () => {
  test("nothing was answered: the other replica does, and the slot is free", async () => {
    const { first, gateway } = await twoReplicas({ kind: "hang" }, { first_byte_secs: 0.1 });
    const response = await ask(gateway, MODEL, { stream: true });
    expect(response.headers.get("x-cortex-neuron")).toBe("b");
    expect((await received(response)).complete).toBe(true);
    await first.until((fake) => fake.abandoned === 1);
    expect(await metricsOf(gateway)).toContain(
      `cortex_retries_total{model="org/a",reason="neuron_silent"} 1`,
    );
  });

  test("an answer that is not streamed has a deadline of its own", async () => {
    const { gateway } = await twoReplicas({ kind: "hang" }, { first_byte_secs: 0.01, answer_secs: 0.2 });
    const startedMs = performance.now();
    expect((await ask(gateway, MODEL)).headers.get("x-cortex-neuron")).toBe("b");
    expect(performance.now() - startedMs).toBeGreaterThan(150);
  });

  test("in the middle of an answer: an error event, and never another replica", async () => {
    const { second, gateway } = await twoReplicas({ kind: "hold", tokens: ["Hel"] }, { silence_secs: 0.1 });
    const { text, complete } = await received(await ask(gateway, MODEL, { stream: true }));
    expect(text).toContain("upstream_cut_stream");
    expect(complete).toBe(false);
    expect(second.callsTo("POST", "/v1/")).toHaveLength(0);
  });

  test("the health check finds it hung: what it has not begun goes elsewhere at once, streamed or not", async () => {
    const first = await fakeNeuron({ models: [residentModel(MODEL)], answer: { kind: "hang" } });
    const second = await fakeNeuron({ models: [residentModel(MODEL)] });
    const gateway = await gatewayFor(fleetOf({ a: first.url, b: second.url }, [{ id: MODEL }]), {
      ...TICK,
      // So long that a busy machine does not find the other one hung, or this one before it was asked.
      controlTimeoutMs: 400,
    });
    const asked = [ask(gateway, MODEL), ask(gateway, MODEL, { stream: true })];
    await first.until((fake) => fake.callsTo("POST", "/v1/").length > 0);
    first.silentPaths = ["/"];
    const answers = await Promise.all(asked);
    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
    expect(answers.map(({ headers }) => headers.get("x-cortex-neuron"))).toContain("b");
    await received(answers[1] ?? new Response());
  });

  test("a legitimate answer of 100 minutes is waited for", async () => {
    const clock = new ManualClock();
    const neuron = await fakeNeuron({
      models: [residentModel(MODEL)],
      answer: { kind: "hold", tokens: ["long"] },
    });
    const gateway = await gatewayFor(fleetOf({ n1: neuron.url }, [{ id: MODEL }]), { clock });
    const asked = ask(gateway, MODEL);
    await neuron.until((fake) => fake.callsTo("POST", "/v1/").length === 1);
    for (let minute = 0; minute < 100; minute += 1) await clock.advance(60_000);
    expect(neuron.abandoned).toBe(0);
    neuron.release();
    const response = await asked;
    expect(response.status).toBe(200);
    expect(await jsonOf(response)).toMatchObject({ choices: [{ message: { content: "long" } }] });
  });
});

describe("signs of life", () => {
  const EMPTY_DELTA = `"choices":[{"index":0,"delta":{},"finish_reason":null}]`;

  test("while a neuron is silent: the head and an event that is valid in the dialect, then each period", async () => {
    const clock = new ManualClock();
    const neuron = await fakeNeuron({ models: [residentModel(MODEL)], answer: { kind: "hang" } });
    const gateway = await gatewayFor(fleetOf({ n1: neuron.url }, [{ id: MODEL }]), { clock });
    const client = new RawClient(gateway.address);
    client.send(rawPost("/v1/chat/completions", JSON.stringify({ model: MODEL, stream: true })));
    await neuron.until((fake) => fake.callsTo("POST", "/v1/").length === 1);
    await clock.advance(2000);
    await client.until(EMPTY_DELTA);
    expect(client.text).toMatch(/^HTTP\/1.1 200 OK/);
    await clock.advance(30_000);
    await client.until(new RegExp(`(?:${escaped(EMPTY_DELTA)}[^]*){4}`));
    client.leave();
  });

  test("also in the middle of an answer, and the answer stays whole", async () => {
    const neuron = await fakeNeuron({
      models: [residentModel(MODEL)],
      answer: { kind: "hold", tokens: ["Hel"] },
    });
    const fleet = fleetWith({ n1: neuron.url }, [{ id: MODEL }], { limits: { keep_alive_secs: 0.05 } });
    const gateway = await gatewayFor(fleet, TICK);
    const client = new RawClient(gateway.address);
    client.send(rawPost("/v1/chat/completions", JSON.stringify({ model: MODEL, stream: true })));
    await client.until(new RegExp(`Hel[^]*(?:${escaped(EMPTY_DELTA)}[^]*){2}`));
    neuron.release();
    await client.until("[DONE]");
    expect(client.text).toContain("[DONE]");
    client.leave();
  });

  test("while a model loads, beside the comments", async () => {
    const neuron = await fakeNeuron({ load: { kind: "wait" } });
    const fleet = fleetWith({ n1: neuron.url }, [{ id: MODEL }], { limits: { keep_alive_secs: 0.05 } });
    const gateway = await gatewayFor(fleet, { ...TICK, loadCommentMs: 10 });
    const client = new RawClient(gateway.address);
    client.send(rawPost("/v1/chat/completions", JSON.stringify({ model: MODEL, stream: true })));
    const both = new RegExp(`: loading org/a[^]*(?:${escaped(EMPTY_DELTA)}[^]*){2}`);
    await client.until(both);
    expect(client.text).toMatch(both);
    client.leave();
  });

  test("before the first content a failure after the head is an error event and a cut, too", async () => {
    const neuron = await fakeNeuron({ models: [residentModel(MODEL)], answer: { kind: "hang" } });
    const fleet = fleetWith({ n1: neuron.url }, [{ id: MODEL }], { limits: { first_byte_secs: 0.3 } });
    const gateway = await gatewayFor(fleet, { ...TICK, firstKeepAliveMs: 20 });
    const { text, complete } = await received(await ask(gateway, MODEL, { stream: true }));
    expect(text).toContain("upstream_connection_error");
    expect(text).not.toContain("[DONE]");
    expect(complete).toBe(false);
    await neuron.until((fake) => fake.abandoned === 1);
  });
});

const escaped = (text: string): string => text.replaceAll(/[[\]{}()*+?.\\^$|]/g, "\\$&");

describe("a client that reads nothing", () => {
  test("is let go of, and its slot is free; one that reads late is not", async () => {
    const neuron = await fakeNeuron({
      models: [residentModel(MODEL)],
      answer: { kind: "flood", events: 1000 },
    });
    const lines: string[] = [];
    const fleet = fleetWith({ n1: neuron.url }, [{ id: MODEL }], { limits: { stall_secs: 0.3 } });
    const gateway = await gatewayFor(fleet, { ...TICK, onLog: (line) => lines.push(line) });
    const client = new RawClient(gateway.address);
    client.socket.pause();
    client.send(rawPost("/v1/chat/completions", JSON.stringify({ model: MODEL, stream: true })));
    await expect.poll(() => lines.join("")).toContain("client_stalled");
    await expect.poll(() => metricsOf(gateway)).toContain(`cortex_requests_in_flight{model="org/a"} 0`);
    client.leave();
  });
});

describe("a replica that fails fast", () => {
  test("does not win: the other one gets the traffic, and it comes back when it serves again", async () => {
    const { first, second, gateway } = await twoReplicas({
      kind: "status",
      status: 500,
      body: { error: { message: "broken", type: "api_error", code: "internal_error" } },
    });
    second.answer = { kind: "tokens", tokens: ["fine"] };
    let failures = 0;
    for (let asked = 0; asked < 40; asked += 1)
      failures += Number((await ask(gateway, MODEL)).status === 500);
    expect(failures).toBeLessThanOrEqual(3);
    first.answer = { kind: "tokens", tokens: ["again"] };
    const burst = async () => {
      const answers = await Promise.all(Array.from({ length: 12 }, () => ask(gateway, MODEL)));
      return answers.map(({ headers }) => headers.get("x-cortex-neuron"));
    };
    await expect.poll(burst).toContain("a");
  });
});
