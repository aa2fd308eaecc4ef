import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { residentModel, TEST_DEVICE } from "../../test/support/neuron/fake-neuron.ts";

/*
 * A neuron that does no work: enough of its API for a gateway to route to it, an answer of about 700 bytes, and streams
 * whose pace the request says (`max_tokens` events, `seed` milliseconds between them). Prints its port.
 */

const MODEL = "bench/demo";
/** One timer drives all streams; those of one tick are spread over it. */
const TICK_MS = 2;

const usage = "prompt=12, completion=40, cached=0, reasoning=0";
const whole = Buffer.from(
  JSON.stringify({
    id: "chatcmpl-bench",
    object: "chat.completion",
    created: 1_700_000_000,
    model: MODEL,
    choices: [
      {
        index: 0,
        message: { role: "assistant", content: "lorem ipsum dolor sit amet ".repeat(17) },
        finish_reason: "stop",
      },
    ],
    usage: { prompt_tokens: 12, completion_tokens: 96, total_tokens: 108 },
  }),
);
const AT_DIGITS = 16;
const event = `data: ${JSON.stringify({
  id: "chatcmpl-bench",
  at: "0".repeat(AT_DIGITS),
  object: "chat.completion.chunk",
  created: 1_700_000_000,
  model: MODEL,
  choices: [{ index: 0, delta: { content: " lorem" }, finish_reason: null }],
})}\n\n`;
/** Framed here, once: this side must have time left when the side that is measured has none. */
const chunk = (text: string): string => `${text.length.toString(16)}\r\n${text}\r\n`;
const framed = chunk(event);
const END_OF_STREAM = `${chunk("data: [DONE]\n\n")}0\r\ncortex-usage: ${usage}\r\n\r\n`;
const beforeAt = framed.slice(0, framed.indexOf("0".repeat(AT_DIGITS)));
const afterAt = framed.slice(beforeAt.length + AT_DIGITS);

/** With the time of its writing, in microseconds of the clock that all processes share. */
const eventNow = (): string =>
  beforeAt + String(process.hrtime.bigint() / 1000n).padStart(AT_DIGITS, "0") + afterAt;

interface Stream {
  readonly response: ServerResponse;
  readonly periodMs: number;
  left: number;
  dueMs: number;
}

const streams = new Set<Stream>();

setInterval(() => {
  const nowMs = performance.now();
  for (const stream of streams) {
    if (nowMs < stream.dueMs) continue;
    stream.dueMs += stream.periodMs;
    stream.left -= 1;
    stream.response.write(eventNow(), "latin1");
    if (stream.left > 0) continue;
    streams.delete(stream);
    stream.response.end(END_OF_STREAM, "latin1");
  }
}, TICK_MS);

const json = (response: ServerResponse, body: unknown) => {
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(body));
};

const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => {
    answer(`${request.method} ${request.url}`, Buffer.concat(chunks), response);
  });
});

function answer(route: string, body: Buffer, response: ServerResponse): void {
  switch (route) {
    case "GET /discovery":
      json(response, {
        hostname: "stub",
        os: "linux",
        kernel: "0",
        cpu_cores: 1,
        driver_version: null,
        devices: [TEST_DEVICE],
        harnesses: ["llama"],
        cuda_unavailable_reason: null,
        disk_free_bytes: null,
      });
      return;
    case "GET /health":
      json(response, {
        status: "ok",
        uptime_secs: Math.ceil(process.uptime()),
        devices: [{ index: 0, vram_used_mb: 0, vram_free_mb: 24_576, utilization_pct: 0, temp_c: 40 }],
        models: [],
      });
      return;
    case "GET /models":
      json(response, { generation: 1, models: [{ ...residentModel(MODEL), parallel: 4096 }] });
      return;
    case "POST /v1/chat/completions":
      infer(body, response);
      return;
    default:
      response.writeHead(404).end();
  }
}

function infer(body: Buffer, response: ServerResponse): void {
  // What paces a stream stands at the end of the body, behind a prompt that is not read.
  const asked = /"stream":true,"max_tokens":(\d+),"seed":(\d+)/.exec(body.subarray(-200).toString("latin1"));
  if (asked === null) {
    response.writeHead(200, {
      "content-type": "application/json",
      "content-length": whole.length,
      "cortex-usage": usage,
    });
    response.end(whole);
    return;
  }
  const periodMs = Number(asked[2]);
  response.writeHead(200, {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
    trailer: "cortex-usage",
  });
  response.flushHeaders();
  // The head has announced chunks; Node need not frame them any more.
  response.chunkedEncoding = false;
  // Streams that are asked for together do not speak together.
  const dueMs = performance.now() + Math.random() * periodMs;
  streams.add({ response, periodMs, left: Number(asked[1]), dueMs });
}

server.keepAliveTimeout = 300_000;
server.listen(0, "127.0.0.1", 4096, () => {
  console.log((server.address() as AddressInfo).port);
});
