import { afterEach, describe, expect, test } from "vitest";
import { OtlpCollector, type ReceivedSpan } from "../../support/otlp/otlp-collector.ts";
import { residentModel } from "../../support/neuron/fake-neuron.ts";
import { RawClient } from "../../support/raw-http.ts";
import { ask, fakeNeuron, fleetOf, gatewayFor, received } from "../gateway-bench.ts";

const MODEL = "org/a";
const PARENT = { traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331" };
const USAGE = { promptTokens: 30, completionTokens: 10, cachedTokens: 8, reasoningTokens: 2 };
const SERVER = 2;
const CLIENT = 3;

const opened: OtlpCollector[] = [];
afterEach(async () => {
  for (const collector of opened.splice(0)) await collector.stop();
});

async function collectorFor(sampleRatio = 1) {
  const collector = await OtlpCollector.start();
  opened.push(collector);
  return { collector, tracing: { sampleRatio, url: `${collector.endpoint}/v1/traces` } };
}

/** Nested by parents, in the order in which they began: "name(child child)". */
function drawn(spans: readonly ReceivedSpan[]): string {
  const known = new Set(spans.map(({ spanId }) => spanId));
  const below = (parents: readonly ReceivedSpan[]): string =>
    parents
      .toSorted((one, other) => Number(BigInt(one.startTimeUnixNano) - BigInt(other.startTimeUnixNano)))
      .map((span) => {
        const inner = below(spans.filter(({ parentSpanId }) => parentSpanId === span.spanId));
        return inner === "" ? span.name : `${span.name}(${inner})`;
      })
      .join(" ");
  return below(spans.filter(({ parentSpanId }) => !known.has(parentSpanId ?? "")));
}

const spanOf = ({ spans }: OtlpCollector, name: string): ReceivedSpan => {
  const found = spans.find((span) => span.name === name);
  if (found === undefined) throw new Error(`no span ${name} in ${spans.map((span) => span.name).join(", ")}`);
  return found;
};
const secsOf = ({ startTimeUnixNano, endTimeUnixNano }: ReceivedSpan): number =>
  Number(BigInt(endTimeUnixNano) - BigInt(startTimeUnixNano)) / 1e9;

describe("traces", () => {
  test("a streamed request hangs on its client's trace, and the neuron's part on the attempt", async () => {
    const { collector, tracing } = await collectorFor(0);
    const neuron = await fakeNeuron({
      models: [residentModel(MODEL)],
      answer: { kind: "tokens", tokens: ["secretword"], usage: USAGE },
    });
    const gateway = await gatewayFor(fleetOf({ n1: neuron.url }, [{ id: MODEL }]), { tracing });
    const headers = { traceparent: `00-${PARENT.traceId}-${PARENT.spanId}-01`, tracestate: "v=1" };
    const answer = await ask(gateway, MODEL, { stream: true, headers });
    await received(answer);
    await gateway.close();
    expect(drawn(collector.spans)).toBe("POST /v1/chat/completions(receive attempt(first token stream))");
    const whole = spanOf(collector, "POST /v1/chat/completions");
    expect(whole).toMatchObject({
      traceId: PARENT.traceId,
      parentSpanId: PARENT.spanId,
      kind: SERVER,
      attributes: {
        "gen_ai.request.model": MODEL,
        "gen_ai.usage.output_tokens": 10,
        "http.response.status_code": 200,
        "cortex.request_id": answer.headers.get("x-request-id"),
      },
      resource: { "service.name": "cortex-gateway" },
    });
    expect(secsOf(whole)).toBeGreaterThan(0);
    expect(Math.abs(Number(BigInt(whole.startTimeUnixNano) / 1_000_000n) - Date.now())).toBeLessThan(60_000);
    const attempt = spanOf(collector, "attempt");
    expect(attempt).toMatchObject({ kind: CLIENT, attributes: { "cortex.neuron": "n1" } });
    const sent = neuron.calls.find(({ path }) => path === "/v1/chat/completions")?.headers;
    expect(sent).toMatchObject({
      traceparent: `00-${PARENT.traceId}-${attempt.spanId}-01`,
      tracestate: "v=1",
    });
    expect(JSON.stringify(collector.spans)).not.toContain("secretword");
  });

  test("a cold load and the wait for it are in the trace, and each attempt of one that was tried again", async () => {
    const { collector, tracing } = await collectorFor();
    const [n1, n2] = await Promise.all([
      fakeNeuron({ models: [residentModel(MODEL)] }),
      // This conversation's own copy by affinity is n2.
      fakeNeuron({ models: [residentModel(MODEL)], answer: { kind: "reset" } }),
    ]);
    const cold = await fakeNeuron();
    const tried = await gatewayFor(fleetOf({ n1: n1.url, n2: n2.url }, [{ id: MODEL }]), { tracing });
    expect((await ask(tried, MODEL)).status).toBe(200);
    await tried.close();
    expect(drawn(collector.spans)).toMatch(/^POST \/v1\/chat\/completions\(receive attempt attempt/);
    expect(collector.spans.filter(({ name }) => name === "attempt")).toMatchObject([
      {
        attributes: { "cortex.neuron": "n2", "error.type": expect.any(String) as string },
        status: { code: 2 },
      },
      { attributes: { "cortex.neuron": "n1", "cortex.outcome": "completed" } },
    ]);
    collector.spans.splice(0);
    const loading = await gatewayFor(fleetOf({ n3: cold.url }, [{ id: MODEL }]), { tracing });
    await received(await ask(loading, MODEL, { stream: true }));
    await loading.close();
    expect(drawn(collector.spans)).toMatch(
      /^POST [^(]*\(receive queue wait\(cold load\) attempt\(first token stream\)\)$/,
    );
    expect(spanOf(collector, "cold load").attributes).toMatchObject({
      "cortex.neuron": "n3",
      "cortex.load.joined": false,
    });
  });

  test("the reception is as long as the body took to come", async () => {
    const { collector, tracing } = await collectorFor();
    const neuron = await fakeNeuron({ models: [residentModel(MODEL)] });
    const gateway = await gatewayFor(fleetOf({ n1: neuron.url }, [{ id: MODEL }]), { tracing });
    const body = JSON.stringify({ model: MODEL, messages: [] });
    const client = new RawClient(gateway.address);
    const head = `POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`;
    client.send(Buffer.from(head + body.slice(0, 5)));
    await new Promise((resolve) => setTimeout(resolve, 500));
    client.send(Buffer.from(body.slice(5)));
    await client.until(/HTTP\/1\.1 200/);
    client.leave();
    await gateway.close();
    expect(secsOf(spanOf(collector, "receive"))).toBeGreaterThan(0.1);
  });

  test("a client that says not to is not traced, nor are those beyond the part that is", async () => {
    const { collector, tracing } = await collectorFor(0);
    const neuron = await fakeNeuron({ models: [residentModel(MODEL)] });
    const gateway = await gatewayFor(fleetOf({ n1: neuron.url }, [{ id: MODEL }]), { tracing });
    const unsampled = `00-${PARENT.traceId}-${PARENT.spanId}-00`;
    await ask(gateway, MODEL);
    await ask(gateway, MODEL, { headers: { traceparent: unsampled } });
    await gateway.close();
    expect(collector.spans).toEqual([]);
    const sent = neuron.calls
      .filter(({ path }) => path.startsWith("/v1/"))
      .map(({ headers }) => headers["traceparent"]);
    expect(sent).toEqual([undefined, unsampled]);
  });

  test("a collector that is away costs nothing but its spans", async () => {
    const { collector, tracing } = await collectorFor();
    await collector.stop();
    opened.splice(0);
    const neuron = await fakeNeuron({ models: [residentModel(MODEL)] });
    const gateway = await gatewayFor(fleetOf({ n1: neuron.url }, [{ id: MODEL }]), { tracing });
    expect((await ask(gateway, MODEL)).status).toBe(200);
    const closing = performance.now();
    await gateway.close();
    expect(performance.now() - closing).toBeLessThan(4000);
  });
});
