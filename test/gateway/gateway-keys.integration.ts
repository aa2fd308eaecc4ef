import { describe, expect, test } from "vitest";
import { fleetSchema, type Fleet } from "../../src/fleet/schema/fleet-schema.ts";
import { hashOfSecret } from "../../src/gateway/keys/key-ring.ts";
import type { TokenUsage } from "../../src/protocol/headers/usage-header.ts";
import { usageReportSchema } from "../../src/protocol/gateway-api.ts";
import { freePort } from "../support/cortex-process.ts";
import { residentModel } from "../support/neuron/fake-neuron.ts";
import { ask, fakeNeuron, fleetOf, gatewayFor, jsonOf, metricsOf, received } from "./gateway-bench.ts";

const MODEL = "org/a";
const OTHER = "org/b";
const USAGE: TokenUsage = { promptTokens: 30, completionTokens: 10, cachedTokens: 8, reasoningTokens: 2 };

type KeyFields = { readonly id: string } & Readonly<Record<string, unknown>>;

const withKeys = (
  fleet: Fleet,
  keys: readonly KeyFields[],
  gateway: Readonly<Record<string, unknown>> = {},
): Fleet =>
  fleetSchema.parse({
    ...fleet,
    gateway: { ...fleet.gateway, ...gateway },
    keys: keys.map((key) => ({ hash: hashOfSecret(`secret-of-${key.id}`), ...key })),
  });

const as = (id: string) => ({ headers: { authorization: `Bearer secret-of-${id}` } });

async function benchWith(keys: readonly KeyFields[], gateway: Readonly<Record<string, unknown>> = {}) {
  const neuron = await fakeNeuron({
    models: [residentModel(MODEL), residentModel(OTHER)],
    answer: { kind: "tokens", tokens: ["one", "two", "three"], usage: USAGE },
  });
  const fleet = fleetOf(
    { n1: neuron.url },
    [{ id: MODEL, limit: { context: 64, output: 40 } }, { id: OTHER }],
    {
      nick: MODEL,
    },
  );
  const lines: string[] = [];
  const running = await gatewayFor(withKeys(fleet, keys, gateway), { onLog: (line) => lines.push(line) });
  return { neuron, gateway: running, lines };
}

describe("a fleet with keys", () => {
  test("serves nobody without one, and does not ask the neuron", async () => {
    const { gateway, neuron } = await benchWith([{ id: "ci" }]);
    const refused = await ask(gateway, MODEL);
    expect(refused.status).toBe(401);
    expect(refused.headers.get("www-authenticate")).toBe('Bearer realm="cortex"');
    expect(await jsonOf(refused)).toMatchObject({
      error: { code: "unauthorized", type: "authentication_error" },
    });
    expect((await fetch(`${gateway.address}/v1/models`)).status).toBe(401);
    expect((await fetch(`${gateway.address}/no/such/route`)).status).toBe(401);
    expect((await fetch(`${gateway.address}/health`)).status).toBe(200);
    expect(neuron.calls.filter(({ path }) => path.startsWith("/v1/"))).toEqual([]);
    expect((await ask(gateway, MODEL, as("ci"))).status).toBe(200);
  });

  test("neither secret nor hash crosses to the neuron or into the log; the key's name is logged", async () => {
    const { gateway, neuron, lines } = await benchWith([{ id: "ci" }]);
    await ask(gateway, MODEL, as("ci"));
    await ask(gateway, MODEL, { headers: { "x-api-key": "secret-of-ci" } });
    await expect.poll(() => lines.join("")).toContain('"key":"ci"');
    const everything = JSON.stringify(neuron.calls) + lines.join("");
    expect(everything).not.toContain("secret-of-ci");
    expect(everything).not.toContain(hashOfSecret("secret-of-ci").slice(7, 30));
  });

  test("a key sees and uses its models only, by id or alias", async () => {
    const { gateway } = await benchWith([
      { id: "ci", models: [MODEL] },
      { id: "byname", models: ["nick"] },
    ]);
    const list = async (id: string) => {
      const { data } = (await (await fetch(`${gateway.address}/v1/models`, as(id))).json()) as {
        data: { id: string }[];
      };
      return data.map((entry) => entry.id);
    };
    expect(await list("ci")).toEqual(["nick", MODEL]);
    expect(await list("byname")).toEqual(["nick"]);
    expect((await fetch(`${gateway.address}/v1/models/${OTHER}`, as("ci"))).status).toBe(404);
    expect((await ask(gateway, MODEL, as("ci"))).status).toBe(200);
    expect((await ask(gateway, "nick", as("ci"))).status).toBe(200);
    expect((await ask(gateway, "nick", as("byname"))).status).toBe(200);
    const refused = await ask(gateway, OTHER, as("ci"));
    expect(refused.status).toBe(403);
    expect(await jsonOf(refused)).toMatchObject({
      error: { code: "model_not_allowed", message: "the key ci does not cover org/b", param: "model" },
    });
    expect((await ask(gateway, MODEL, as("byname"))).status).toBe(403);
    expect((await ask(gateway, "org/none", as("ci"))).status).toBe(404);
  });

  test("the fleet and its usage are for admins", async () => {
    const { gateway } = await benchWith([{ id: "ci" }, { id: "ops", role: "admin" }]);
    for (const path of ["/fleet", "/usage"]) {
      const refused = await fetch(gateway.address + path, as("ci"));
      expect([refused.status, await jsonOf(refused)]).toMatchObject([
        403,
        { error: { code: "admin_required" } },
      ]);
      expect((await fetch(gateway.address + path, as("ops"))).status).toBe(200);
    }
  });

  test("allow_anonymous: models without a key, the fleet not", async () => {
    const { gateway } = await benchWith([{ id: "ci" }], { allow_anonymous: true });
    expect((await ask(gateway, MODEL)).status).toBe(200);
    expect((await fetch(`${gateway.address}/fleet`)).status).toBe(403);
  });
});

describe("limits", () => {
  test("a cap that is spent refuses with 429, for good or until the window rolls on", async () => {
    const window = { kind: "rolling", seconds: 3600 };
    const { gateway, neuron } = await benchWith([
      { id: "once", hard_cap: 70 },
      { id: "roll", hard_cap: 70, window },
    ]);
    for (const id of ["once", "roll"]) {
      // Reserves a quarter of its body and the 40 tokens of the catalogue's limit, and spends 40.
      expect(await received(await ask(gateway, MODEL, { ...as(id), stream: true }))).toMatchObject({
        complete: true,
      });
      expect((await ask(gateway, MODEL, as(id))).status).toBe(429);
    }
    const sent = neuron.calls.filter(({ path }) => path === "/v1/chat/completions").length;
    const once = await ask(gateway, MODEL, as("once"));
    expect(once.headers.get("retry-after")).toBeNull();
    expect(await jsonOf(once)).toMatchObject({ error: { code: "insufficient_quota", key: "once" } });
    const roll = await ask(gateway, MODEL, as("roll"));
    expect(Number(roll.headers.get("retry-after"))).toBeGreaterThan(3500);
    expect(await jsonOf(roll)).toMatchObject({ error: { code: "rate_limit_exceeded", limit: "tokens" } });
    expect(neuron.calls.filter(({ path }) => path === "/v1/chat/completions")).toHaveLength(sent);
    expect(await metricsOf(gateway)).toContain('cortex_key_refusals_total{key="once",limit="tokens"}');
  });

  test("several prompts in one request are reserved for each", async () => {
    const { gateway, neuron } = await benchWith([{ id: "ci", hard_cap: 100 }]);
    const complete = (prompt: unknown) =>
      fetch(`${gateway.address}/v1/completions`, {
        method: "POST",
        headers: { "content-type": "application/json", ...as("ci").headers },
        body: JSON.stringify({ model: MODEL, prompt, max_tokens: 30 }),
      });
    expect((await complete(["a", "b", "c"])).status).toBe(429);
    expect(neuron.callsTo("POST", "/v1/")).toHaveLength(0);
    expect((await complete([1, 2, 3])).status).toBe(200);
  });

  test("twenty at once never pass the cap", async () => {
    const { gateway, neuron } = await benchWith([{ id: "ci", hard_cap: 200 }]);
    const answers = await Promise.all(Array.from({ length: 20 }, () => ask(gateway, MODEL, as("ci"))));
    const served = answers.filter(({ status }) => status === 200).length;
    expect(served).toBeGreaterThan(0);
    expect(served).toBeLessThanOrEqual(5);
    expect(answers.filter(({ status }) => status === 429)).toHaveLength(20 - served);
    expect(neuron.calls.filter(({ path }) => path === "/v1/chat/completions")).toHaveLength(served);
  });

  test("requests at one time: a place is free again when a client leaves", async () => {
    const { gateway, neuron } = await benchWith([{ id: "ci", parallel_requests: 1 }]);
    neuron.answer = { kind: "hold", tokens: ["one"] };
    const leaving = new AbortController();
    const first = await ask(gateway, MODEL, { ...as("ci"), stream: true, signal: leaving.signal });
    const second = await ask(gateway, MODEL, as("ci"));
    expect([second.status, await jsonOf(second)]).toMatchObject([
      429,
      { error: { code: "rate_limit_exceeded", limit: "parallel-requests" } },
    ]);
    leaving.abort();
    await received(first);
    neuron.answer = { kind: "tokens", tokens: ["one"] };
    await expect.poll(async () => (await ask(gateway, MODEL, as("ci"))).status).toBe(200);
  });

  test("requests a minute", async () => {
    const { gateway } = await benchWith([{ id: "ci", requests_per_minute: 2 }]);
    const statuses = [];
    for (let count = 0; count < 3; count += 1) statuses.push((await ask(gateway, MODEL, as("ci"))).status);
    expect(statuses).toEqual([200, 200, 429]);
  });
});

describe("usage", () => {
  test("answers, cut streams and failures are counted by key and model", async () => {
    const { gateway, neuron } = await benchWith([{ id: "ci" }, { id: "ops", role: "admin" }]);
    await received(await ask(gateway, MODEL, { ...as("ci"), stream: true }));
    await ask(gateway, MODEL, as("ci"));
    neuron.answer = { kind: "cut", tokens: ["one", "two"] };
    await received(await ask(gateway, MODEL, { ...as("ci"), stream: true }));
    neuron.answer = {
      kind: "status",
      status: 400,
      body: { error: { message: "no", code: "unsupported_parameter" } },
    };
    await ask(gateway, "nick", as("ci"));
    await ask(gateway, "org/none", as("ci"));
    const read = async () =>
      usageReportSchema.parse(await (await fetch(`${gateway.address}/usage`, as("ops"))).json()).rows;
    await expect.poll(async () => (await read())[0]?.requests).toBe(4);
    const [row, ...others] = await read();
    expect(others).toEqual([]);
    expect(row).toMatchObject({ key: "ci", model: MODEL, requests: 4, cut: 1, failed: 1, cached_tokens: 16 });
    // Twice what the neuron told, and of the cut stream a token an event and a quarter of its request.
    expect(row?.completion_tokens).toBe(10 + 10 + 2);
    expect(row?.prompt_tokens).toBeGreaterThan(30 + 30 + 15);
    const bad = await fetch(`${gateway.address}/usage?since_ms=yesterday`, as("ops"));
    expect([bad.status, await jsonOf(bad)]).toMatchObject([422, { error: { param: "since_ms" } }]);
  });
});

test("an answer that the client's dialect cannot say is a failure, and nobody pays for it", async () => {
  const { gateway, neuron } = await benchWith([{ id: "ci" }, { id: "ops", role: "admin" }]);
  neuron.answer = { kind: "status", status: 200, body: { choices: "none", usage: { prompt_tokens: 5 } } };
  const answer = await fetch(`${gateway.address}/v1/messages`, {
    method: "POST",
    headers: { "content-type": "application/json", ...as("ci").headers },
    body: JSON.stringify({ model: MODEL, max_tokens: 9, messages: [{ role: "user", content: "hi" }] }),
  });
  expect(answer.status).toBe(502);
  const read = async () =>
    usageReportSchema.parse(await (await fetch(`${gateway.address}/usage`, as("ops"))).json()).rows;
  await expect.poll(async () => (await read())[0]?.requests).toBe(1);
  const expected = { failed: 1, cut: 0, prompt_tokens: 0, completion_tokens: 0 };
  expect((await read())[0]).toMatchObject(expected);
  expect(await metricsOf(gateway)).toContain(
    `cortex_request_errors_total{model="org/a",node="n1",code="upstream_connection_error"} 1`,
  );
});

describe("beyond this machine", () => {
  const listen = { host: "0.0.0.0", port: 0 };
  test("without a key the start is refused, and nothing listens", async () => {
    const neuron = await fakeNeuron();
    await expect(gatewayFor(fleetOf({ n1: neuron.url }), { listen })).rejects.toMatchObject({
      code: "bind_needs_keys",
    });
  });
});

test("where the shared ledger is away, limited keys are refused and told why, and everybody else is served", async () => {
  const neuron = await fakeNeuron({ models: [residentModel(MODEL)] });
  const fleet = withKeys(fleetOf({ n1: neuron.url }, [{ id: MODEL }]), [
    { id: "ci", hard_cap: 1000 },
    { id: "ops", role: "admin" },
  ]);
  const lines: string[] = [];
  // Nobody listens there; the password comes from the environment of the gateway's machine.
  const ledger = { url: `redis://:swordfish@127.0.0.1:${await freePort()}/0` };
  const gateway = await gatewayFor({ ...fleet, ledger }, { onLog: (line) => lines.push(line) });
  const refused = await ask(gateway, MODEL, as("ci"));
  expect([refused.status, refused.headers.get("retry-after")]).toEqual([503, "2"]);
  const said = JSON.stringify(await jsonOf(refused));
  expect(said).toContain('"code":"ledger_unavailable"');
  expect((await ask(gateway, MODEL, as("ops"))).status).toBe(200);
  const shown = await (await fetch(`${gateway.address}/fleet`, as("ops"))).text();
  expect(shown).toContain("redis://:*********@127.0.0.1");
  expect(said + shown + lines.join("")).not.toContain("swordfish");
  expect(said).not.toContain("127.0.0.1");
});
