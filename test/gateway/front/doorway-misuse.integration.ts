import { once } from "node:events";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, test } from "vitest";
import type { DirectResponse } from "../../../src/gateway/front/io/direct-response.ts";
import { eventually } from "../../support/eventually.ts";
import { post, serverWith, UNREAD, type Answering } from "./doorway-bench.ts";

const refuse = (response: DirectResponse): void => {
  response.writeHead(403, { "content-length": 0 });
  response.end();
};

/** More than the system takes for a client that does not read. */
const LOUD = Buffer.alloc(32 << 20, "x");

const refuseLoudly = (response: DirectResponse): void => {
  response.writeHead(403, { "content-length": LOUD.length });
  response.end(LOUD);
};

describe("behind a request that is refused by its head", () => {
  test("what came with it is served", async () => {
    await using at = await serverWith({ answerUnread: refuse });
    const client = at.connect();
    client.send(post("one", { path: UNREAD }) + post("two", { path: UNREAD }) + post("three"));
    await client.until("three");
    expect(at.seen).toEqual([`door ${UNREAD}`, `door ${UNREAD}`, "door /v1/x"]);
  });

  test("the second half of a body is no request, whatever it says", async () => {
    await using at = await serverWith({ answerUnread: refuse });
    const client = at.connect();
    const hidden = post("{}", { path: "/v1/hidden" });
    client.send(post("one", { path: UNREAD }) + post("half:", { length: 5 + hidden.length }));
    await client.until(" 403 ");
    client.send(hidden);
    await client.until(hidden);
    expect(at.seen).toEqual([`door ${UNREAD}`, "door /v1/x"]);
  });
});

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

function heldBytes(): number {
  collectGarbage();
  return process.memoryUsage().arrayBuffers;
}

/** A client that reads nothing of its answer, and whose body has no end. */
async function deafClient(at: Awaited<ReturnType<typeof serverWith>>) {
  const client = at.connect();
  client.socket.pause();
  client.send(post("x", { path: UNREAD, length: 1 << 30 }));
  await eventually(() => {
    expect(at.responses[0]?.writableEnded).toBe(true);
  });
  return client;
}

describe("a body that was refused, and whose sender does not read why,", () => {
  test("is not kept", async () => {
    await using at = await serverWith({ answerUnread: refuseLoudly });
    const client = await deafClient(at);
    const before = heldBytes();
    const piece = Buffer.alloc(1 << 20);
    for (let sent = 0; sent < 48; sent += 1) {
      if (!client.socket.write(piece)) await once(client.socket, "drain");
    }
    // Not all that can go goes with the first collection.
    await eventually(() => {
      expect(heldBytes() - before).toBeLessThan(16 << 20);
    });
  });

  test("is not waited for for ever", async () => {
    await using at = await serverWith({ answerUnread: refuseLoudly });
    const client = await deafClient(at);
    await at.clock.advance(5000);
    client.socket.resume();
    await client.closed();
    expect(at.responses[0]).toMatchObject({ closed: true, writableFinished: false });
  });
});

test("pieces of a byte each, sent ahead, are as many as a client is read ahead for", async () => {
  await using at = await serverWith({ answer: () => undefined });
  const client = at.connect();
  client.socket.setNoDelay(true);
  client.send(post("one"));
  await eventually(() => {
    expect(at.responses).toHaveLength(1);
  });
  const socket = at.responses[0]?.socket;
  const before = socket?.bytesRead ?? 0;
  for (let piece = 1; piece <= 100 && socket?.isPaused() === false; piece += 1) {
    client.send("P");
    await eventually(() => {
      expect(socket.bytesRead).toBe(before + piece);
    });
  }
  expect(socket?.isPaused()).toBe(true);
});

const badHeadFirst: Answering = (_request, response) => {
  expect(() => response.writeHead(200, { x: "a\r\nb: c" })).toThrow(TypeError);
  expect(response.headersSent).toBe(false);
  response.writeHead(502, { "content-length": 2 });
  response.end("{}");
};

const endAfterCut: Answering = (_request, response) => {
  response.writeHead(200, { "content-length": 2 });
  response.destroy();
  response.end("{}");
};

const sayMoreAfterEnd: Answering = (_request, response) => {
  response.writeHead(200, { "content-length": 2 });
  response.end("{}");
  response.write("more");
  response.end("more");
};

describe("an answer", () => {
  test("whose head is none can still be another", async () => {
    await using at = await serverWith({ answer: badHeadFirst });
    const client = at.connect();
    client.send(post("x"));
    await client.until("{}");
    expect(client.text).toMatch(/^HTTP\/1\.1 502 /);
  });

  test.each([204, 304])("of status %s has no body, whatever is written", async (status) => {
    const answer: Answering = (_request, response) => {
      response.writeHead(status, {});
      response.write("HTTP/1.1 200 OK\r\n\r\n");
      response.end("HTTP/1.1 200 OK\r\n\r\n");
    };
    await using at = await serverWith({ answer });
    const client = at.connect();
    client.send(post("x", { more: "connection: close\r\n" }));
    const { text } = await client.closed();
    expect(text.match(/HTTP/g)).toHaveLength(1);
    expect(text.endsWith("\r\n\r\n")).toBe(true);
  });

  test.each([0, 101, 199, 1000, Number.NaN])("of status %s is none", async (status) => {
    const answer: Answering = (_request, response) => {
      response.writeHead(status, { "content-length": 0 });
    };
    await using at = await serverWith({ answer });
    const client = at.connect();
    client.send(post("x"));
    await client.until(" 500 ");
    expect(client.text).toMatch(/^HTTP\/1\.1 500 /);
  });

  test("on a connection that was cut is not taken for sent", async () => {
    await using at = await serverWith({ answer: endAfterCut });
    const client = at.connect();
    client.send(post("x"));
    await client.closed();
    expect(at.responses[0]).toMatchObject({ closed: true, writableEnded: true, writableFinished: false });
  });

  test("takes nothing more after its end", async () => {
    await using at = await serverWith({ answer: sayMoreAfterEnd });
    const client = at.connect();
    client.send(post("x") + post("y", { more: "connection: close\r\n" }));
    const { text } = await client.closed();
    expect(text.match(/HTTP/g)).toHaveLength(2);
    expect(text).not.toContain("more");
  });
});

test("a connection that comes after the door has closed is Node's, which knows when it may end", async () => {
  await using at = await serverWith();
  at.door.close();
  const client = at.connect();
  client.send(post("late"));
  await client.until("late");
  expect(at.seen).toEqual(["node /v1/x"]);
});
