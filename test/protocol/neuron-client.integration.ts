import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createNeuronClient, type NeuronClient } from "../../src/protocol/io/neuron-client.ts";
import { eventually } from "../support/eventually.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { RecordedCall } from "../support/wire/recorded-call.ts";

type Answer = (response: ServerResponse, request: IncomingMessage) => void;

const CHANGE = { model_id: "m", harness: "llama", parallel: 1, min_devices: 1 } as const;
const LOAD = { ...CHANGE, origin: { kind: "manual" } } as const;

let server: Server;
let endpoint = "";
let asked: IncomingMessage[] = [];
let answer: Answer = () => undefined;
let clock = new ManualClock();
let client: NeuronClient;

const json =
  (status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): Answer =>
  (response) => {
    response.writeHead(status, { "content-type": "application/json", ...headers });
    response.end(JSON.stringify(body));
  };
const envelope = (code: string, message = "no") => ({ error: { message, type: "api_error", code } });

beforeEach(async () => {
  asked = [];
  clock = new ManualClock();
  server = createServer((request, response) => {
    asked.push(request);
    answer(response, request);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  client = createNeuronClient(
    { name: "beast", endpoint: `${endpoint}/behind/` },
    { clock, callTimeoutMs: 5000, access: { token: "secret" } },
  );
});

afterEach(async () => {
  await client.destroy();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

const refusal = (work: Promise<unknown>): Promise<unknown> => work.catch((thrown: unknown) => thrown);
const reached = () =>
  eventually(() => {
    expect(asked).toHaveLength(1);
  });

describe("what is sent", () => {
  test("a swap is one call, under the generation that was seen and the epoch of its apply", async () => {
    answer = json(202, { status: "pending", job: null });
    const swap = { load: LOAD, evict: ["other"], drain_timeout_secs: 5, force: false };
    expect(await client.swap(swap, { generation: 7, epoch: 3 })).toEqual({ status: "pending", job: null });
    expect(asked[0]).toMatchObject({ method: "POST", url: "/behind/models/swap" });
    expect(asked[0]?.headers).toMatchObject({ "if-match": `"7"`, "cortex-epoch": "3" });
  });

  test("a change carries the token, the generation and its body, below the endpoint's own path", async () => {
    answer = json(200, { status: "loaded", job: null });
    expect(await client.load(LOAD, { generation: 7 })).toEqual({ status: "loaded", job: null });
    expect(asked[0]).toMatchObject({ method: "POST", url: "/behind/models/load" });
    expect(asked[0]?.headers).toMatchObject({ authorization: "Bearer secret", "if-match": `"7"` });
  });

  test("a job's id is one segment of the path", async () => {
    answer = json(200, {});
    await client.cancelJob("a/b");
    expect(asked[0]).toMatchObject({ method: "DELETE", url: "/behind/jobs/a%2Fb?unless_joined=1" });
  });
});

describe("deadline and signal", () => {
  test("a silent neuron is given up when the clock says so, and no earlier", async () => {
    answer = () => undefined;
    let over = false;
    const calling = refusal(client.models()).finally(() => {
      over = true;
    });
    await reached();
    await clock.advance(4999);
    expect(over).toBe(false);
    await clock.advance(1);
    expect(await calling).toMatchObject({
      code: "upstream_connection_error",
      message: `beast (${endpoint}/behind/): no answer within 5 s`,
      details: { neuron: "beast", problem: "no answer within 5 s" },
    });
  });

  test("a body that stands still is given up too", async () => {
    answer = (response) => {
      response.writeHead(200, { "content-length": "100" });
      response.write("{");
    };
    const calling = refusal(client.models());
    await reached();
    await clock.advance(5000);
    expect(await calling).toMatchObject({ details: { problem: "no answer within 5 s" } });
  });

  test("an answer in time leaves no alarm behind", async () => {
    answer = json(200, { generation: 1, models: [] });
    await client.models();
    expect(clock.sleeping).toBe(0);
  });

  test("a caller who gives up gets its own reason", async () => {
    answer = () => undefined;
    const leave = new AbortController();
    const calling = refusal(client.models(leave.signal));
    await reached();
    const reason = new Error("enough");
    leave.abort(reason);
    expect(await calling).toBe(reason);
    expect(clock.sleeping).toBe(0);
    expect(await refusal(client.models(leave.signal))).toBe(reason);
  });
});

describe("refusals", () => {
  test.each([
    {
      what: "401 in the neuron's words",
      status: 401,
      body: envelope("unauthorized", "the token is not this neuron's"),
      problem: "refuses the token (the token is not this neuron's)",
    },
    {
      what: "401 of something in between",
      status: 401,
      body: "<html>",
      problem: "refuses the token (HTTP 401)",
    },
    { what: "403 without a code", status: 403, body: {}, problem: "refuses the token (HTTP 403)" },
  ])("$what: the token is refused", async ({ status, body, problem }) => {
    answer = json(status, body);
    expect(await refusal(client.health())).toMatchObject({
      code: "unauthorized",
      details: { neuron: "beast", problem },
      next: "use the token that the neuron was started with",
    });
  });

  test("403 with a code of its own is that error, not the token's", async () => {
    answer = json(403, envelope("source_forbidden", "outside the model roots"));
    const error = await refusal(client.load(LOAD));
    expect(error).toMatchObject({ code: "source_forbidden", message: "outside the model roots" });
    expect(error).not.toHaveProperty("details.problem");
  });

  test.each([
    { what: "seconds", header: "30", expected: 30 },
    { what: "a date", header: new Date(Date.UTC(2026, 0, 1, 0, 1, 30)).toUTCString(), expected: 90 },
    { what: "a date that has passed", header: new Date(0).toUTCString(), expected: 2 },
    { what: "nonsense", header: "soon", expected: 2 },
  ])("Retry-After in $what", async ({ header, expected }) => {
    answer = json(503, envelope("queue_full"), { "retry-after": header });
    const error = await refusal(client.unload({ model_id: "m", drain_timeout_secs: 1, force: false }));
    expect(error).toMatchObject({
      code: "queue_full",
      retryAfterSecs: expected,
      details: { neuron: "beast" },
    });
  });

  test.each([
    { status: 412, code: "stale_generation" },
    { status: 429, code: "queue_full" },
    { status: 503, code: "draining" },
    { status: 500, code: "upstream_connection_error" },
    { status: 302, code: "upstream_connection_error" },
  ])("a bare $status is $code, and trouble between here and the neuron", async ({ status, code }) => {
    answer = json(status, "oops");
    const problem = `answered with HTTP ${status}`;
    expect(await refusal(client.job("j"))).toMatchObject({ code, details: { problem } });
  });
});

describe("trouble", () => {
  const trouble: readonly { what: string; by: Answer; problem: string }[] = [
    {
      what: "a body that is cut",
      by: (response) => {
        response.writeHead(200, { "content-length": "100" });
        response.write("{", () => response.destroy());
      },
      problem: "the connection was cut",
    },
    {
      what: "a connection that is cut before any byte",
      by: (response) => {
        response.destroy();
      },
      problem: "the connection was cut",
    },
    {
      what: "what is not JSON",
      by: (response) => {
        response.end("<html>");
      },
      problem: "answers /discovery with something that no neuron says",
    },
    {
      what: "JSON of another shape",
      by: json(200, { hostname: 7 }),
      problem: "answers /discovery with something that no neuron says (hostname)",
    },
    {
      what: "more than is read",
      by: (response) => {
        response.end(Buffer.alloc(8 * 1024 * 1024 + 1, " "));
      },
      problem: "the answer is longer than 8 MiB",
    },
  ];
  test.each(trouble)("$what", async ({ by, problem }) => {
    answer = by;
    expect(await refusal(client.discovery())).toMatchObject({
      code: "upstream_connection_error",
      details: { neuron: "beast", problem },
    });
  });

  test("a refused connection", async () => {
    await new Promise((resolve) => server.close(resolve));
    expect(await refusal(client.discovery())).toMatchObject({
      code: "upstream_connection_error",
      details: { problem: "connection refused" },
    });
  });
});

describe("dispatch", () => {
  const call = {
    path: "/v1/chat/completions",
    headers: { authorization: "Bearer client", "x-request-id": "r" },
    body: Buffer.from(`{ "n":1.0 }`),
  };

  test("sends bytes as they are, with the neuron's token in place of any other", async () => {
    answer = (response, request) => {
      request.pipe(response);
    };
    const recorded = new RecordedCall();
    client.dispatch(call, recorded);
    await recorded.over;
    expect(recorded).toMatchObject({ status: 200, error: null });
    expect(recorded.body.toString()).toBe(`{ "n":1.0 }`);
    expect(asked[0]).toMatchObject({ method: "POST", url: "/behind/v1/chat/completions" });
    expect(asked[0]?.headers).toMatchObject({ "x-request-id": "r" });
    // Node shows the first of several.
    expect(asked[0]?.headersDistinct).toMatchObject({ authorization: ["Bearer secret"] });
  });

  test("has no deadline but for its connection, however long the answer takes", async () => {
    answer = () => undefined;
    const recorded = new RecordedCall();
    client.dispatch(call, recorded);
    await reached();
    expect(clock.sleeping).toBe(0);
    await clock.advance(24 * 3_600_000);
    expect(recorded.told).toEqual(["start"]);
  });
});
