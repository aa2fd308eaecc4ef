import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test } from "vitest";
import { askOnce } from "../../src/client/io/ask-once.ts";
import { checkEndpoint } from "../../src/client/io/check-endpoint.ts";
import { ManualClock } from "../support/manual-clock.ts";

let server: Server | undefined;

afterEach(async () => {
  server?.closeAllConnections();
  await new Promise((resolve) => (server === undefined ? resolve(undefined) : server.close(resolve)));
  server = undefined;
});

async function answering(handle: (path: string, response: ServerResponse) => void): Promise<string> {
  const started = createServer((request, response) => {
    request.resume().on("end", () => {
      handle(request.url ?? "", response);
    });
  });
  server = started;
  await new Promise<void>((resolve) => started.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(started.address() as AddressInfo).port}`;
}

const event = (data: unknown) => `data: ${JSON.stringify(data)}\n\n`;
const delta = (content: string) => event({ choices: [{ delta: { content } }] });
const stream = (response: ServerResponse, ...parts: readonly string[]) => {
  response.writeHead(200, { "content-type": "text/event-stream" });
  response.end(parts.join(""));
};

const call = (part: Record<string, unknown>) =>
  event({ choices: [{ delta: { tool_calls: [{ index: 0, ...part }] } }] });

const ask = (baseUrl: string) =>
  askOnce({ baseUrl, body: { model: "m" }, clock: new ManualClock(), signal: new AbortController().signal });

test("text, tool calls in pieces and usage become one answer", async () => {
  const baseUrl = await answering((_path, response) => {
    stream(
      response,
      delta("Hello "),
      delta("wörld"),
      call({ function: { name: "get_weather", arguments: "" } }),
      call({ function: { arguments: '{"city":' } }),
      call({ function: { arguments: '"Oslo"}' } }),
      event({ choices: [], usage: { prompt_tokens: 3, completion_tokens: 9 } }),
      "data: [DONE]\n\n",
    );
  });
  expect(await ask(baseUrl)).toMatchObject({
    text: "Hello wörld",
    toolCalls: [{ name: "get_weather", arguments: '{"city":"Oslo"}' }],
    completionTokens: 9,
  });
});

test.each([
  { name: "a stream without its end", parts: [delta("half an ans")], code: "upstream_cut_stream" },
  {
    name: "an error event",
    parts: [
      delta("half"),
      event({ error: { message: "the worker died", type: "api_error", code: "worker_crashed" } }),
    ],
    code: "worker_crashed",
  },
])("$name is a failure, never a short answer", async ({ parts, code }) => {
  const baseUrl = await answering((_path, response) => {
    stream(response, ...parts);
  });
  await expect(ask(baseUrl)).rejects.toMatchObject({ code });
});

test("a refusal keeps its code and next step", async () => {
  const baseUrl = await answering((_path, response) => {
    response.writeHead(404, { "content-type": "application/json" });
    response.end(
      JSON.stringify({
        error: { message: "no m", type: "invalid_request_error", code: "model_not_found", next: "look" },
      }),
    );
  });
  await expect(ask(baseUrl)).rejects.toMatchObject({ code: "model_not_found", next: "look" });
});

test("the check of an endpoint names each step that failed and goes on to the next", async () => {
  const baseUrl = await answering((path, response) => {
    if (path === "/v1/models") {
      response.end(JSON.stringify({ object: "list", data: [{ id: "m", loaded: true, tool_call: true }] }));
      return;
    }
    // Answers everything alike, in words: no tool call, and no refusal of a model that is not there.
    stream(
      response,
      delta("hi"),
      event({ choices: [], usage: { prompt_tokens: 1, completion_tokens: 2 } }),
      "data: [DONE]\n\n",
    );
  });
  const report = await checkEndpoint({
    baseUrl,
    clock: new ManualClock(),
    signal: new AbortController().signal,
  });
  expect(report.model).toBe("m");
  expect(report.checks.map(({ name, outcome }) => [name, outcome])).toEqual([
    ["models", "passed"],
    ["chat", "passed"],
    ["tool_call", "failed"],
    ["unknown_model", "failed"],
  ]);
});

test("an endpoint that does not answer is one failed check", async () => {
  const baseUrl = await answering(() => undefined);
  server?.closeAllConnections();
  await new Promise((resolve) => server?.close(resolve));
  server = undefined;
  const report = await checkEndpoint({
    baseUrl,
    clock: new ManualClock(),
    signal: new AbortController().signal,
  });
  expect(report.checks).toMatchObject([
    { name: "models", outcome: "failed", detail: expect.stringContaining("does not answer") as string },
  ]);
});
