import { copyFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { formatTimings, parseTimings } from "../../../src/protocol/headers/timings-header.ts";
import { readToTheEnd, startTestNeuron } from "../../support/neuron/neuron-under-test.ts";
import { tinyModelFile } from "../../support/neuron/tiny-model.ts";
import { OtlpCollector, type ReceivedSpan } from "../../support/otlp/otlp-collector.ts";

const PARENT = { traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331" };
const SAMPLED = `00-${PARENT.traceId}-${PARENT.spanId}-01`;
const UNSAMPLED = `00-${PARENT.traceId}-${PARENT.spanId}-00`;
const MESSAGES = [{ role: "user", content: "hello" }];

const opened: OtlpCollector[] = [];
afterEach(async () => {
  for (const collector of opened.splice(0)) await collector.stop();
});

async function tracedNeuron() {
  const collector = await OtlpCollector.start();
  opened.push(collector);
  const tracing = { url: `${collector.endpoint}/v1/traces` };
  const neuron = await startTestNeuron({ tracing }, { workerEntry: undefined });
  await copyFile(await tinyModelFile({ endOfText: "never" }), join(neuron.store, "tiny.gguf"));
  expect(await neuron.load({ model_id: "tiny" })).toMatchObject({ status: 200 });
  const ask = (traceparent: string, more: object = {}) =>
    fetch(`${neuron.base}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json", traceparent },
      body: JSON.stringify({ model: "tiny", messages: MESSAGES, max_tokens: 20, ...more }),
    });
  return { collector, neuron, ask };
}

const named = (spans: readonly ReceivedSpan[], name: string): ReceivedSpan[] =>
  spans.filter((span) => span.name === name);
const lengthMs = ({
  startTimeUnixNano,
  endTimeUnixNano,
}: ReceivedSpan | { startTimeUnixNano: string; endTimeUnixNano: string }) =>
  Number(BigInt(endTimeUnixNano) - BigInt(startTimeUnixNano)) / 1e6;

test("a traced request goes on in the neuron and its worker, streamed and whole", async () => {
  const { collector, neuron, ask } = await tracedNeuron();
  const whole = await ask(SAMPLED);
  const { timings } = (await whole.json()) as { readonly timings: Record<string, number> };
  expect(whole.headers.get("cortex-timings")).toBeNull();
  const streamed = await readToTheEnd(await ask(SAMPLED, { stream: true }));
  expect(streamed.broken).toBe(false);
  await neuron[Symbol.asyncDispose]();
  const roots = named(collector.spans, "neuron /v1/chat/completions");
  expect(roots).toHaveLength(2);
  for (const root of roots) {
    expect(root).toMatchObject({ traceId: PARENT.traceId, parentSpanId: PARENT.spanId });
    expect(root.attributes).toMatchObject({ "gen_ai.request.model": "tiny" });
    expect(root.resource).toMatchObject({ "service.name": "cortex-neuron" });
    const under = (parent: ReceivedSpan | undefined) =>
      collector.spans.filter(({ parentSpanId }) => parentSpanId === parent?.spanId);
    expect(under(root).map(({ name }) => name)).toEqual(["admission", "worker"]);
    const [worker] = named(under(root), "worker");
    expect(under(worker).map(({ name }) => name)).toEqual(["queue", "prefill", "decode"]);
  }
  const [prefill] = named(collector.spans, "prefill");
  const [decode] = named(collector.spans, "decode");
  expect(lengthMs(prefill ?? NEVER)).toBeCloseTo(timings["prompt_ms"] ?? -1, 0);
  expect(lengthMs(decode ?? NEVER)).toBeGreaterThan(0);
  expect(JSON.stringify(collector.spans)).not.toContain("hello");
});

const NEVER = { startTimeUnixNano: "0", endTimeUnixNano: "0" };

test("what is in no trace, or was not let in, is drawn accordingly", async () => {
  const { collector, neuron, ask } = await tracedNeuron();
  await (await ask(UNSAMPLED)).json();
  const refused = await ask(SAMPLED, { model: "other" });
  expect(refused.status).toBe(404);
  await refused.text();
  await neuron[Symbol.asyncDispose]();
  expect(collector.spans.map(({ name }) => name)).toEqual(["neuron /v1/chat/completions"]);
  expect(collector.spans[0]?.attributes).toMatchObject({ "error.type": "model_not_found" });
});

test("timings are read as they are written, and nothing else is", () => {
  const timings = { queueMs: 1.5, prefillMs: 20, decodeMs: 310.2 };
  expect(parseTimings(formatTimings(timings))).toEqual(timings);
  for (const text of [undefined, "", "queue=1", "queue=a, prefill=1, decode=1", ["queue=1"]]) {
    expect(parseTimings(text)).toBeUndefined();
  }
});
