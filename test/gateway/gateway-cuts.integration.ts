import { describe, expect, test } from "vitest";
import type { Answer } from "../support/neuron/fake-answer.ts";
import { chunkEvent, envelope, residentModel } from "../support/neuron/fake-neuron.ts";
import { RawClient, rawPost } from "../support/raw-http.ts";
import { ask, fakeNeuron, fleetOf, gatewayFor, jsonOf, metricsOf, received } from "./gateway-bench.ts";

const MODEL = "org/a";
const STREAMED = JSON.stringify({ model: MODEL, messages: [], stream: true });
const LAST_CHUNK = "\r\n0\r\n\r\n";

async function oneNeuron(answer: Answer) {
  const neuron = await fakeNeuron({ models: [residentModel(MODEL)], answer });
  const lines: string[] = [];
  const gateway = await gatewayFor(fleetOf({ n1: neuron.url }, [{ id: MODEL }]), {
    onLog: (line) => lines.push(line),
  });
  return { neuron, gateway, lines };
}

const CUT = { kind: "cut", tokens: ["Hel"] } as const;
const OWN_ERROR = `data: ${JSON.stringify(envelope("worker_crashed", "the worker died"))}\n\n`;

describe("how a cut looks on the wire", () => {
  test.each([
    { what: "a neuron that dies", answer: CUT, code: "upstream_cut_stream" },
    {
      what: "a neuron that says so, and ends in order",
      answer: {
        kind: "raw_stream",
        chunks: [chunkEvent(MODEL, "Hel"), OWN_ERROR, "data: [DONE]\n\n"],
      } as const,
      code: "worker_crashed",
    },
  ])("$what: an error event, and no last chunk", async ({ answer, code }) => {
    const { gateway } = await oneNeuron(answer);
    const client = new RawClient(gateway.address);
    client.send(rawPost("/v1/chat/completions", STREAMED));
    const { text } = await client.closed();
    expect(text).toContain("Transfer-Encoding: chunked");
    expect(text).toContain(code);
    expect(text).not.toContain(LAST_CHUNK);
    expect(text).not.toContain("[DONE]");
  });

  test("HTTP/1.0, where a closed connection means a whole answer: reset", async () => {
    const { gateway } = await oneNeuron(CUT);
    const client = new RawClient(gateway.address);
    client.send(rawPost("/v1/chat/completions", STREAMED, { version: "1.0" }));
    const { text, ending } = await client.closed();
    expect(text).toContain("upstream_cut_stream");
    expect(ending).toBe("reset");
  });
});

describe("what log and metrics say of it", () => {
  test("the code that the client was told, and never 200", async () => {
    const answer = { kind: "raw_stream", chunks: [chunkEvent(MODEL, "Hel"), OWN_ERROR] } as const;
    const { gateway, lines } = await oneNeuron(answer);
    await received(await ask(gateway, MODEL, { stream: true }));
    const text = await metricsOf(gateway);
    expect(text).toContain(`cortex_request_errors_total{model="org/a",node="n1",code="worker_crashed"} 1`);
    expect(text).toContain(`cortex_requests_total{model="org/a",node="n1",status="502"} 1`);
    expect(text).not.toContain("upstream_cut_stream");
    expect(lines.join("")).toContain(`"code":"worker_crashed"`);
  });

  test("a client that closes on [DONE] has its answer", async () => {
    const { gateway } = await oneNeuron({ kind: "unending", tokens: ["Hello"] });
    const client = new RawClient(gateway.address);
    client.send(rawPost("/v1/chat/completions", STREAMED));
    await client.until("[DONE]");
    client.leave();
    await expect
      .poll(() => metricsOf(gateway))
      .toContain(`cortex_requests_total{model="org/a",node="n1",status="200"} 1`);
    expect(await metricsOf(gateway)).not.toMatch(/cortex_client_disconnects_total\{.*\} [1-9]/);
  });
});

describe("what is not a neuron's", () => {
  const page = { kind: "page", status: 502, body: "<html>nginx at 10.0.0.7</html>" } as const;
  const redirect = { kind: "page", status: 302, body: "", location: "http://10.0.0.7/inner" } as const;

  test.each([
    { what: "a proxy's page", answer: page },
    { what: "a page with a good status", answer: { ...page, status: 200 } },
    { what: "a redirect", answer: redirect },
  ])("$what is never passed on, streamed or not", async ({ answer }) => {
    const { gateway } = await oneNeuron(answer);
    for (const stream of [true, false]) {
      const response = await fetch(`${gateway.address}/v1/chat/completions`, {
        method: "POST",
        redirect: "manual",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ model: MODEL, stream }),
      });
      expect(response.status).toBe(502);
      expect(response.headers.get("location")).toBeNull();
      const text = await response.text();
      expect(JSON.parse(text)).toMatchObject({ error: { code: "upstream_connection_error" } });
      expect(text).not.toContain("10.0.0.7");
    }
  });

  test("a proxy's page from one replica: the other answers", async () => {
    const first = await fakeNeuron({ models: [residentModel(MODEL)], answer: page });
    const second = await fakeNeuron({ models: [residentModel(MODEL)] });
    const gateway = await gatewayFor(fleetOf({ a: first.url, b: second.url }, [{ id: MODEL }]));
    const response = await ask(gateway, MODEL);
    expect(response.headers.get("x-cortex-neuron")).toBe("b");
  });

  test("a numeric code is a text for the client", async () => {
    const body = { error: { message: "too long", type: "BadRequestError", param: null, code: 400 } };
    const { gateway } = await oneNeuron({ kind: "status", status: 400, body });
    const response = await ask(gateway, MODEL);
    expect(response.status).toBe(400);
    expect(await jsonOf(response)).toMatchObject({ error: { message: "too long", code: "400" } });
  });

  test("events after the terminator, and events that end in CR alone", async () => {
    const event = chunkEvent(MODEL, "Hi").replaceAll("\n", "\r");
    const chunks = [event, "data: [DONE]\r\r", chunkEvent(MODEL, "more")];
    const { gateway } = await oneNeuron({ kind: "raw_stream", chunks });
    const { text, complete } = await received(await ask(gateway, MODEL, { stream: true }));
    expect(text).toBe(`${event}data: [DONE]\r\r`);
    expect(complete).toBe(true);
  });
});
