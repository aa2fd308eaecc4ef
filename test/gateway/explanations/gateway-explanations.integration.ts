import { describe, expect, test } from "vitest";
import { explanationView, requestListView } from "../../../src/cli/tables/requests-table.ts";
import { readRequest, readRequests } from "../../../src/client/io/read-requests.ts";
import { fleetSchema } from "../../../src/fleet/schema/fleet-schema.ts";
import type { RunningGateway } from "../../../src/gateway/io/start-gateway.ts";
import { hashOfSecret } from "../../../src/gateway/keys/key-ring.ts";
import { systemClock } from "../../../src/platform/system-clock.ts";
import { residentModel } from "../../support/neuron/fake-neuron.ts";
import { ask, fakeNeuron, fleetOf, gatewayFor, loadWaiters, received } from "../gateway-bench.ts";

const MODEL = "org/a";
const CRASHED = {
  error: { message: "it crashed", type: "api_error", code: "worker_crashed", param: null },
};
const PLAIN = { colour: false };
const of = ({ address }: RunningGateway, apiKey?: string) => ({
  baseUrl: address,
  apiKey,
  clock: systemClock,
});
const idOf = (answer: Response): string => answer.headers.get("x-request-id") ?? "";

describe("explanations of requests", () => {
  test("a request that was served: where, who was considered, and its tokens; nothing of what was said", async () => {
    const usage = { promptTokens: 30, completionTokens: 10, cachedTokens: 8, reasoningTokens: 2 };
    const [n1, n2] = await Promise.all([
      fakeNeuron({
        models: [residentModel(MODEL)],
        answer: { kind: "tokens", tokens: ["secretword"], usage },
      }),
      fakeNeuron({ models: [residentModel(MODEL, { status: "loading" })] }),
    ]);
    const gateway = await gatewayFor(fleetOf({ n1: n1.url, n2: n2.url }, [{ id: MODEL }]));
    const answer = await ask(gateway, MODEL, { stream: true });
    await received(answer);
    const id = idOf(answer);
    await expect.poll(async () => (await readRequest(of(gateway), id)).status).toBe(200);
    const explanation = await readRequest(of(gateway), id);
    expect(explanation).toMatchObject({
      model: MODEL,
      node: "n1",
      key: "<anonymous>",
      stream: true,
      code: null,
      tokens: { prompt: 30, completion: 10, cached: 8, reasoning: 2 },
    });
    expect(explanation.steps).toMatchObject([
      {
        kind: "routed",
        decision: "serve",
        node: "n1",
        considered: [
          { node: "n1", verdict: "serves", work: 0 },
          { node: "n2", verdict: "loading" },
        ],
      },
      { kind: "sent", node: "n1", outcome: "completed" },
    ]);
    expect(JSON.stringify(explanation)).not.toContain("secretword");
    const printed = explanationView(explanation).human(PLAIN);
    expect(printed).toContain("routed to n1");
    expect(printed).toContain("n2: loading");
    expect(printed).toContain("30 tokens in (8 cached), 10 out");
    const list = await readRequests(of(gateway), 5);
    expect(list.requests.map(({ request_id: listed }) => listed)).toEqual([id]);
    expect(requestListView(list).human(PLAIN)).toContain(id);
  });

  test("a request that waits for a load says so while it waits, and how long it took afterwards", async () => {
    const neuron = await fakeNeuron({ load: { kind: "wait" } });
    const gateway = await gatewayFor(fleetOf({ n1: neuron.url }, [{ id: MODEL }]));
    const asked = ask(gateway, MODEL);
    await expect.poll(() => loadWaiters(gateway)).toBe(1);
    const [open] = (await readRequests(of(gateway), 1)).requests;
    const id = open?.request_id ?? "";
    const before = await readRequest(of(gateway), id);
    expect(before).toMatchObject({ duration_ms: null, status: null });
    expect(before.steps[1]).toMatchObject({
      kind: "waited",
      took_ms: null,
      position: 1,
      waiting: 1,
      loads: [{ node: "n1", joined: false, evict: [], took_ms: null, outcome: null }],
    });
    expect(explanationView(before).human(PLAIN)).toContain("a load on n1: goes on");
    neuron.finishLoad(MODEL);
    expect((await asked).status).toBe(200);
    await expect.poll(async () => (await readRequest(of(gateway), id)).status).toBe(200);
    const after = await readRequest(of(gateway), id);
    expect(after.cold_start).toBe(true);
    expect(after.steps).toMatchObject([
      { kind: "routed", decision: "wait", considered: [{ node: "n1", verdict: "could load it" }] },
      { kind: "waited", outcome: "granted", node: "n1", loads: [{ outcome: "loaded" }] },
      { kind: "sent", outcome: "completed" },
    ]);
  });

  test("a failure, its retry, and a refusal are steps with their codes", async () => {
    const [crashing, well] = await Promise.all([
      fakeNeuron({
        models: [residentModel(MODEL)],
        answer: { kind: "status", status: 502, body: CRASHED },
      }),
      fakeNeuron({ models: [residentModel(MODEL)] }),
    ]);
    // At home of what is asked here is n2.
    const gateway = await gatewayFor(fleetOf({ n1: well.url, n2: crashing.url }, [{ id: MODEL }]));
    const answer = await ask(gateway, MODEL);
    expect(answer.status).toBe(200);
    const id = idOf(answer);
    await expect.poll(async () => (await readRequest(of(gateway), id)).status).toBe(200);
    const { steps, retries } = await readRequest(of(gateway), id);
    expect(retries).toBe(1);
    expect(steps.filter(({ kind }) => kind !== "routed")).toMatchObject([
      { kind: "sent", node: "n2", outcome: "answered-error", code: "worker_crashed" },
      { kind: "retried", reason: "worker_crashed" },
      { kind: "sent", node: "n1", outcome: "completed" },
    ]);
    const refused = idOf(await ask(gateway, "org/none"));
    expect(await readRequest(of(gateway), refused)).toMatchObject({
      model: null,
      status: 404,
      code: "model_not_found",
      steps: [{ kind: "routed", decision: "refuse", code: "model_not_found" }],
    });
    await expect(readRequest(of(gateway), "a/b=never")).rejects.toMatchObject({
      code: "request_not_found",
      message: "no request a/b=never among the last 1000 that this gateway routed",
    });
  });

  test("where the fleet declares keys they are for admins", async () => {
    const neuron = await fakeNeuron({ models: [residentModel(MODEL)] });
    const fleet = fleetSchema.parse({
      ...fleetOf({ n1: neuron.url }, [{ id: MODEL }]),
      keys: [
        { id: "ci", hash: hashOfSecret("secret-of-ci") },
        { id: "ops", hash: hashOfSecret("secret-of-ops"), role: "admin" },
      ],
    });
    const gateway = await gatewayFor(fleet);
    await expect(readRequests(of(gateway), 5)).rejects.toMatchObject({ code: "unauthorized" });
    await expect(readRequests(of(gateway, "secret-of-ci"), 5)).rejects.toMatchObject({
      code: "admin_required",
    });
    await expect(readRequest(of(gateway, "secret-of-ci"), "x")).rejects.toMatchObject({
      code: "admin_required",
    });
    expect((await readRequests(of(gateway, "secret-of-ops"), 5)).requests).toEqual([]);
    const odd = await fetch(`${gateway.address}/fleet/requests?limit=no`, {
      headers: { authorization: "Bearer secret-of-ops" },
    });
    expect(odd.status).toBe(422);
  });
});
