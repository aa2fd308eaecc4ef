import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { ManualClock } from "../support/manual-clock.ts";
import type { Answer } from "../support/neuron/fake-answer.ts";
import { residentModel } from "../support/neuron/fake-neuron.ts";
import { RawClient, rawPost } from "../support/raw-http.ts";
import {
  ask,
  fakeNeuron,
  fleetWith,
  gatewayFor,
  metricsOf,
  watched,
  type BenchOptions,
} from "./gateway-bench.ts";

const MODEL = "org/a";
const BODY = JSON.stringify({ model: MODEL, messages: [] });

interface Edge extends BenchOptions {
  readonly gateway?: Readonly<Record<string, unknown>>;
  readonly answer?: Answer;
}

async function edge({ gateway: table = {}, answer, ...options }: Edge = {}) {
  const neuron = await fakeNeuron({
    models: [residentModel(MODEL)],
    ...(answer === undefined ? {} : { answer }),
  });
  const lines: string[] = [];
  const gateway = await gatewayFor(fleetWith({ n1: neuron.url }, [{ id: MODEL }], table), {
    onLog: (line) => lines.push(line),
    ...options,
  });
  const refusals = () => lines.filter((line) => line.includes("request refused"));
  return { neuron, gateway, lines, refusals };
}

const JSON_TYPE = { "content-type": "application/json" };

describe("what clients really send is served", () => {
  test.each([
    "/v1/chat/completions/",
    "//v1/chat/completions",
    "/chat/completions",
    "/v1/v1/chat/completions",
    "/v1/chat/completions?beta=true",
    "/v1/%63hat/completions",
  ])("POST %s", async (path) => {
    const { gateway, neuron } = await edge();
    const response = await fetch(gateway.address + path, { method: "POST", headers: JSON_TYPE, body: BODY });
    expect(response.status).toBe(200);
    expect(neuron.callsTo("POST", "/v1/chat/completions")).toHaveLength(1);
  });

  test("GET /models and /models/ID", async () => {
    const { gateway } = await edge();
    expect((await fetch(`${gateway.address}/models/`)).status).toBe(200);
    expect(await (await fetch(`${gateway.address}/models/org/a`)).json()).toMatchObject({ id: MODEL });
  });

  test.each([
    { encoding: "gzip", encode: gzipSync },
    { encoding: "deflate", encode: deflateSync },
    { encoding: "br", encode: brotliCompressSync },
    { encoding: "zstd", encode: zstdCompressSync },
  ])("a body encoded as $encoding", async ({ encoding, encode }) => {
    const { gateway, neuron } = await edge();
    const headers = { ...JSON_TYPE, "content-encoding": encoding };
    const body = new Uint8Array(encode(Buffer.from(BODY)));
    const response = await fetch(`${gateway.address}/v1/chat/completions`, { method: "POST", headers, body });
    expect(response.status).toBe(200);
    expect(neuron.callsTo("POST", "/v1/")[0]?.body).toBe(BODY);
  });

  test("a byte-order mark in front stays here", async () => {
    const { gateway, neuron } = await edge();
    const body = `\uFEFF${BODY}`;
    const init = { method: "POST", headers: JSON_TYPE, body };
    expect((await fetch(`${gateway.address}/v1/chat/completions`, init)).status).toBe(200);
    expect(neuron.callsTo("POST", "/v1/")[0]?.body).toBe(BODY);
  });

  test("OPTIONS says what is allowed", async () => {
    const { gateway } = await edge();
    const response = await fetch(`${gateway.address}/v1/chat/completions`, { method: "OPTIONS" });
    expect(response.status).toBe(204);
    expect(response.headers.get("allow")).toBe("POST, OPTIONS");
  });

  test("requests that are sent ahead on one connection, behind a slow one, are served in their order", async () => {
    const { gateway, neuron } = await edge({ answer: { kind: "hold", tokens: ["one"] } });
    const client = new RawClient(gateway.address);
    client.send(rawPost("/v1/chat/completions", JSON.stringify({ model: MODEL, stream: true })));
    await client.until("one");
    neuron.answer = { kind: "tokens", tokens: ["two"] };
    client.send(rawPost("/v1/chat/completions", BODY) + rawPost("/v1/chat/completions", BODY));
    neuron.release();
    await client.until(/two[^]*two/);
    expect(neuron.callsTo("POST", "/v1/")).toHaveLength(3);
    expect(client.text.match(/HTTP\/1.1 200/g)).toHaveLength(3);
    client.leave();
    expect(await metricsOf(gateway)).not.toContain("cortex_client_disconnects_total{");
  });
});

describe("what is refused is refused by a sentence, with one line in the log and one count", () => {
  const refused = [
    {
      what: "a bad escape",
      bytes: "GET /v1/models/%zz HTTP/1.1\r\nhost: localhost\r\n\r\n",
      status: 400,
      code: "malformed_request",
    },
    {
      what: "headers without end",
      bytes: `GET / HTTP/1.1\r\nhost: localhost\r\nx: ${"y".repeat(20_000)}\r\n\r\n`,
      status: 431,
      code: "head_too_large",
    },
    { what: "no Host", bytes: "GET / HTTP/1.1\r\n\r\n", status: 400, code: "malformed_request" },
    {
      what: "another Host",
      bytes: "GET /fleet HTTP/1.1\r\nhost: evil.example\r\n\r\n",
      status: 421,
      code: "host_not_allowed",
    },
    { what: "no HTTP", bytes: "\u0016\u0003\u0001\r\n\r\n", status: 400, code: "malformed_request" },
    {
      what: "two lengths",
      bytes:
        "POST /v1/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx",
      status: 400,
      code: "malformed_request",
    },
    {
      what: "a length beside chunks",
      bytes:
        "POST /v1/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
      status: 400,
      code: "malformed_request",
    },
    {
      what: "no route",
      bytes: "GET /nothing HTTP/1.1\r\nhost: localhost\r\n\r\n",
      status: 404,
      code: "route_not_found",
    },
    {
      what: "another method",
      bytes: "PUT /v1/models HTTP/1.1\r\nhost: localhost\r\n\r\n",
      status: 405,
      code: "method_not_allowed",
    },
    { what: "no JSON", bytes: rawPost("/v1/completions", "{"), status: 400, code: "malformed_json" },
    {
      what: "an unknown encoding",
      bytes: rawPost("/v1/completions", BODY, { headers: ["content-encoding: snappy"] }),
      status: 415,
      code: "unsupported_media_type",
    },
    {
      what: "not the encoding that it says",
      bytes: rawPost("/v1/completions", BODY, { headers: ["content-encoding: gzip"] }),
      status: 400,
      code: "malformed_request",
    },
  ];
  test.each(refused)("$what", async ({ bytes, status, code }) => {
    const { gateway, refusals, lines } = await edge();
    const client = new RawClient(gateway.address);
    client.send(bytes);
    await client.until(`"code":"${code}"`);
    client.leave();
    expect(client.text).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    const id = /x-request-id: (\S+)/.exec(client.text)?.[1] ?? "none";
    expect(refusals()).toHaveLength(1);
    expect(refusals()[0]).toContain(id);
    expect(lines.join("")).not.toContain(`"level":50`);
    const metrics = await metricsOf(gateway);
    expect(metrics).toContain(`cortex_request_errors_total{model="unknown",node="",code="${code}"} 1`);
    expect(metrics).toContain(`cortex_requests_total{model="unknown",node="",status="${status}"} 1`);
  });

  test("a page that was not declared is refused; a declared one may read the answer", async () => {
    const { gateway } = await edge({ gateway: { origins: ["https://chat.example"] } });
    const asPage = (origin: string) => ask(gateway, MODEL, { headers: { origin } });
    expect((await asPage("https://evil.example")).status).toBe(403);
    const allowed = await asPage("https://chat.example");
    expect(allowed.status).toBe(200);
    expect(allowed.headers.get("access-control-allow-origin")).toBe("https://chat.example");
    const preflight = await fetch(`${gateway.address}/v1/chat/completions`, {
      method: "OPTIONS",
      headers: {
        origin: "https://chat.example",
        "access-control-request-headers": "authorization, x-stainless-os",
      },
    });
    expect(preflight.headers.get("access-control-allow-headers")).toBe("authorization, x-stainless-os");
  });

  test("an upload that the client gives up is no defect", async () => {
    const { gateway, refusals, lines } = await edge();
    const client = new RawClient(gateway.address);
    client.send(rawPost("/v1/completions", BODY).slice(0, -5));
    await expect.poll(() => metricsOf(gateway)).toContain("cortex_requests_total");
    client.leave();
    await expect.poll(() => refusals().join("")).toContain("request_incomplete");
    expect(lines.join("")).not.toContain(`"level":50`);
  });
});

const MIB = 1024 * 1024;

describe("large bodies", () => {
  const small = { gateway: { limits: { body_mb: 1 } } };

  test("a body over the limit gets 413, though it is still being sent, and the connection lives on", async () => {
    const { gateway } = await edge(small);
    const client = new RawClient(gateway.address);
    const body = "x".repeat(2 * MIB);
    client.send(rawPost("/v1/completions", body) + rawPost("/v1/chat/completions", BODY));
    await client.until(/413[^]*body_too_large[^]*200 OK/);
    expect(client.text).toMatch(/^HTTP\/1.1 413 [^]*HTTP\/1.1 200 OK/);
    client.leave();
  });

  test("in chunks, without a length: the same", async () => {
    const { gateway } = await edge(small);
    const client = new RawClient(gateway.address);
    client.send(
      "POST /v1/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n",
    );
    for (let sent = 0; sent < 3; sent += 1) client.send(`80000\r\n${"x".repeat(MIB / 2)}\r\n`);
    await client.until("body_too_large");
    expect(client.text).toMatch(/^HTTP\/1.1 413 /);
    client.leave();
  });

  test("who asks first (Expect) is told before the body is sent", async () => {
    const { gateway } = await edge(small);
    const client = new RawClient(gateway.address);
    client.send(
      `POST /v1/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nexpect: 100-continue\r\ncontent-length: ${2 * MIB}\r\n\r\n`,
    );
    await client.until("body_too_large");
    expect(client.text).toMatch(/^HTTP\/1.1 413 /);
    client.leave();
  });

  test("a small body that inflates without end", async () => {
    const { gateway } = await edge(small);
    const headers = { ...JSON_TYPE, "content-encoding": "gzip" };
    const body = new Uint8Array(gzipSync(Buffer.alloc(20 * MIB, " ")));
    const response = await fetch(`${gateway.address}/v1/completions`, { method: "POST", headers, body });
    expect(response.status).toBe(413);
  });

  test("31 MiB of nested brackets hold up nobody", async () => {
    const { gateway } = await edge();
    const body = Buffer.alloc(31 * MIB, "[");
    const asked = fetch(`${gateway.address}/v1/completions`, { method: "POST", headers: JSON_TYPE, body });
    const isAnswered = watched(asked);
    let turns = 0;
    while (!isAnswered()) {
      await new Promise((resolve) => setImmediate(resolve));
      turns += 1;
    }
    expect((await asked).status).toBe(400);
    expect(turns).toBeGreaterThan(31 * 16);
  });
});

describe("clients that keep us waiting", () => {
  test("a head that does not come", async () => {
    const { gateway, refusals } = await edge({ gateway: { limits: { head_secs: 0.2 } } });
    const client = new RawClient(gateway.address);
    client.send("POST /v1/completions HT");
    const { text } = await client.closed();
    expect(text).toMatch(/^HTTP\/1.1 408 [^]*request_timeout/);
    expect(refusals()).toHaveLength(1);
  });

  test("a body that comes a byte at a time", async () => {
    const clock = new ManualClock();
    const { gateway } = await edge({ clock });
    const client = new RawClient(gateway.address);
    client.send(rawPost("/v1/completions", BODY).slice(0, -5));
    await expect
      .poll(async () => {
        await clock.advance(1000);
        return client.text;
      })
      .toMatch(/^HTTP\/1.1 408 [^]*slower than 1024 bytes/);
    client.leave();
  });

  test("one connection too many is told so, and counted", async () => {
    const { gateway, refusals } = await edge({ gateway: { limits: { connections: 2 } } });
    const held = [new RawClient(gateway.address), new RawClient(gateway.address)];
    for (const client of held) {
      client.send("GET /version HTTP/1.1\r\nhost: localhost\r\n\r\n");
      await client.until("package_version");
    }
    const { text } = await new RawClient(gateway.address).closed();
    expect(text).toMatch(/^HTTP\/1.1 503 [^]*too_many_connections/);
    expect(text).toMatch(/retry-after: \d/);
    expect(refusals()).toHaveLength(1);
    // Who is in already can see it.
    const [inside] = held;
    inside?.send("GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n");
    await inside?.until("connections are refused: 0.1 a second of late, beyond the 2 that");
    await inside?.until('"status":"degraded"');
    for (const client of held) client.leave();
  });
});
