import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import { connect, type AddressInfo, type Socket } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";
import { afterEach, expect, test } from "vitest";
import { openSseStream, STALLED_AFTER_MS, type SseStream } from "../../src/worker/io/sse-stream.ts";
import { ManualClock } from "../support/manual-clock.ts";

// A real connection, since what waits in the buffers of the system decides; the time is the test's.

const PIECE = "x".repeat(64 * 1024);
let close: () => Promise<void> = async () => undefined;
afterEach(() => close());

async function openConnection(): Promise<{
  readonly clock: ManualClock;
  readonly stream: SseStream;
  readonly response: ServerResponse;
  readonly client: Socket;
}> {
  const clock = new ManualClock();
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const client = connect((server.address() as AddressInfo).port, "127.0.0.1");
  client.pause();
  client.on("error", () => undefined);
  client.write("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
  const [, response] = (await once(server, "request")) as [unknown, ServerResponse];
  close = async () => {
    client.destroy();
    server.closeAllConnections();
    server.close();
  };
  return { clock, response, client, stream: openSseStream(response, clock, 1) };
}

/** Sends until the stream holds the sender back. */
async function fill(stream: SseStream): Promise<void> {
  while (stream.ready() === undefined) {
    stream.send(PIECE);
    await nextTurn();
  }
}

test("a client that stops reading is closed, and the sender goes on to find it gone", async () => {
  const { clock, response, stream } = await openConnection();
  await fill(stream);
  expect(response.writableLength).toBeLessThan(1024 * 1024);
  const held = stream.ready();
  const closed = once(response, "close");
  await clock.advance(STALLED_AFTER_MS);
  await closed;
  await held;
  expect(response.destroyed).toBe(true);
});

test("so is one that reads nothing of the end", async () => {
  const { clock, response, stream } = await openConnection();
  await fill(stream);
  stream.end();
  const closed = once(response, "close");
  await clock.advance(STALLED_AFTER_MS);
  await closed;
  expect(response.writableFinished).toBe(false);
});

test("a slow one is waited for as long as it reads", async () => {
  const { clock, response, client, stream } = await openConnection();
  await fill(stream);
  client.resume();
  await stream.ready();
  client.pause();
  await fill(stream);
  await clock.advance(STALLED_AFTER_MS);
  expect(response.destroyed).toBe(false);
  client.resume();
  await stream.ready();
  stream.end();
  await once(response, "finish");
});
