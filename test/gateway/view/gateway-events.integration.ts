import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { pino } from "pino";
import { createNeuronPoller } from "../../../src/gateway/view/io/neuron-poller.ts";
import { reconnectDelayMs } from "../../../src/gateway/view/reconnect-delay.ts";
import { createNeuronClient } from "../../../src/protocol/io/neuron-client.ts";
import { systemClock } from "../../../src/platform/system-clock.ts";
import { eventually } from "../../support/eventually.ts";
import { writeFakeModel } from "../../support/neuron/fake-worker-model.ts";
import { startTestNeuron } from "../../support/neuron/neuron-under-test.ts";
import { indexOf } from "../view-builder.ts";

/** A view of one neuron that would be polled once an hour. */
function followed(endpoint: string, pollIntervalMs = 3_600_000) {
  const client = createNeuronClient({ name: "a", endpoint }, { clock: systemClock, callTimeoutMs: 5000 });
  const poller = createNeuronPoller({
    clock: systemClock,
    logger: pino({ level: "silent" }),
    fleet: indexOf({ a: {} }, []),
    neurons: new Map([["a", client]]),
    pollIntervalMs,
    outstandingAt: () => new Map(),
  });
  const polls = poller.start();
  return {
    poller,
    neuron: () => poller.view().neurons.get("a"),
    [Symbol.asyncDispose]: async () => {
      polls.close();
      await client.destroy();
    },
  };
}

test("the view follows a neuron's changes without asking, and its end at once", async () => {
  await using neuron = await startTestNeuron();
  writeFakeModel(neuron.store, "alpha", { gated: true });
  await using view = followed(neuron.base);
  await eventually(() => {
    expect(view.neuron()?.health).toBe("healthy");
  });
  const loading = await neuron.call("/models/load", { json: { model_id: "alpha" } });
  expect(loading.status).toBe(202);
  await eventually(() => {
    expect(view.neuron()?.models.get("alpha")?.status).toBe("loading");
  });
  writeFakeModel(neuron.store, "alpha").openGate();
  await eventually(() => {
    expect(view.neuron()?.models.get("alpha")?.status).toBe("loaded");
  });
  await neuron.call("/drain", { method: "POST" });
  await eventually(() => {
    expect(view.neuron()?.draining).toBe(true);
  });
  await neuron.neuron.close({ drainTimeoutMs: 0 });
  await eventually(() => {
    expect(view.neuron()?.misses).toBeGreaterThan(0);
  });
});

test("an answer that is older than the last event changes nothing", async () => {
  const streams: ServerResponse[] = [];
  const status = { event_id: "life:1", status: "ok", uptime_secs: 1, devices: [], models: [] };
  const discovery = {
    hostname: "h",
    os: "l",
    kernel: "0",
    cpu_cores: 1,
    driver_version: null,
    devices: [],
    harnesses: [],
    cuda_unavailable_reason: null,
    disk_free_bytes: null,
  };
  const server = createServer((request, response) => {
    if (request.url === "/events") {
      response.writeHead(200, { "content-type": "text/event-stream" });
      streams.push(response);
      const { event_id: _id, ...health } = status;
      const whole = { kind: "snapshot-taken", generation: 7, discovery, health, models: [], jobs: [] };
      const unknown = { kind: "weather-changed", rain: true };
      response.write(
        `id: life:5\ndata: ${JSON.stringify(whole)}\n\nid: life:6\ndata: ${JSON.stringify(unknown)}\n\n`,
      );
      return;
    }
    const bodies = {
      "/health": status,
      "/models": { event_id: "life:1", generation: 1, models: [] },
      "/discovery": discovery,
    };
    response.end(JSON.stringify(bodies[request.url as keyof typeof bodies]));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  await using view = followed(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  await eventually(() => {
    expect(view.neuron()?.generation).toBe(7);
  });
  expect(await view.poller.refresh("a")).toBe(true);
  expect(view.neuron()?.generation).toBe(7);
  status.event_id = "life:9";
  streams[0]?.destroy();
  await eventually(() => {
    expect(streams.length).toBeGreaterThan(1);
  });
  server.closeAllConnections();
  server.close();
});

test.each([
  [1, "upstream_connection_error", 500],
  [2, "upstream_connection_error", 1000],
  [5, "upstream_connection_error", 8000],
  [6, "upstream_connection_error", 15_000],
  [600, "upstream_connection_error", 15_000],
  [1, "route_not_found", 60_000],
])("after %i failures (%s) events are asked for again in %i ms", (failures, problem, delayMs) => {
  expect(reconnectDelayMs(failures, problem)).toBe(delayMs);
});
