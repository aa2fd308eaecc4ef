import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { pino } from "pino";
import { Registry } from "prom-client";
import { expect, test } from "vitest";
import { CortexError } from "../../../src/core/errors.ts";
import { answerRefusal, beginRequest, type EdgeDeps } from "../../../src/gateway/io/client-edge.ts";
import { createGatewayMetrics } from "../../../src/gateway/io/gateway-metrics.ts";
import { RequestRate } from "../../../src/gateway/request-rate.ts";
import { systemClock } from "../../../src/platform/system-clock.ts";
import { indexOf } from "../view-builder.ts";

const PATH = "/v1/chat/completions";
const failure = new CortexError("model_not_found", "there is no such model");

/** A server whose every answer fails, once `begin` has done what it does. */
async function failing(begin: (response: ServerResponse) => void) {
  const deps: EdgeDeps = {
    clock: systemClock,
    logger: pino({ level: "silent" }),
    fleet: indexOf({}, []),
    metrics: createGatewayMetrics(new Registry()),
    connectionsRefused: new RequestRate(),
    closing: () => false,
  };
  const server = createServer((request, response) => {
    begin(response);
    answerRefusal(failure, { ...beginRequest(request, deps), request, response, path: PATH }, deps);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}${PATH}`,
    [Symbol.asyncDispose]: async () => {
      server.close();
      await once(server, "close");
    },
  };
}

test("what fails before its answer was begun is told in full", async () => {
  await using server = await failing(() => undefined);
  const answer = await fetch(server.url, { method: "POST" });
  expect(answer.status).toBe(404);
  expect(await answer.json()).toMatchObject({ error: { code: "model_not_found" } });
});

test.each([
  ["whose length was not told", {}],
  ["of which less has come than was told", { "content-length": "100" }],
])("an answer %s that fails after it was begun is cut", async (_what, headers) => {
  await using server = await failing((response) => {
    response.writeHead(200, headers);
    response.write("half of");
  });
  const answer = await fetch(server.url, { method: "POST" }).then(
    async (begun) => begun.text(),
    (thrown: unknown) => thrown,
  );
  expect(answer).toBeInstanceOf(Error);
});
