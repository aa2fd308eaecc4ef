import { createServer as createHttpServer } from "node:http";
import type { AddressInfo } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";
import { createServer as createTlsServer } from "node:tls";
import { buildConnector } from "undici";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { WirePool, type WirePoolOptions } from "../../../src/protocol/wire/io/wire-pool.ts";
import { makeAuthority } from "../../../src/trust/io/x509.ts";
import { eventually } from "../../support/eventually.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import { RawServer, whole } from "../../support/wire/raw-server.ts";
import { RecordedCall } from "../../support/wire/recorded-call.ts";

let clock = new ManualClock();
let server: RawServer;
let pool: WirePool;

const poolTo = (origin: string, options: Partial<WirePoolOptions> = {}): WirePool =>
  new WirePool(new URL(origin), {
    clock,
    connector: null,
    headers: { authorization: "Bearer secret" },
    ...options,
  });

beforeEach(async () => {
  clock = new ManualClock();
  server = new RawServer();
  server.answer = (connection) => {
    connection.send(whole("ok"));
  };
  await server.start();
  pool = poolTo(`http://127.0.0.1:${server.port}`);
});

afterEach(async () => {
  await pool.destroy();
  await server.close();
});

const NOTHING = Buffer.alloc(0);

function sent(call = new RecordedCall(), body: Buffer = NOTHING): RecordedCall {
  pool.dispatch({ path: "/v1/x", headers: { "x-request-id": "r" }, body }, call);
  return call;
}

async function completed(call = sent()): Promise<RecordedCall> {
  await call.over;
  expect(call.error).toBeNull();
  expect(call.told.at(-1)).toBe("end");
  return call;
}

const closed = (at: number) =>
  eventually(() => {
    expect(server.connections[at]?.isClosed).toBe(true);
  });

const asked = (count: number) =>
  eventually(() => {
    expect(server.carried.reduce((sum, requests) => sum + requests, 0)).toBe(count);
  });

describe("what is sent", () => {
  test("a head of its own, and what the request says", async () => {
    const call = await completed(sent(new RecordedCall(), Buffer.from("{}")));
    expect(call).toMatchObject({ told: ["start", "head", "data", "end"], status: 200, trailers: {} });
    expect(call.body.toString()).toBe("ok");
    expect(server.connections[0]?.requests[0]?.head.split("\r\n")).toEqual([
      "POST /v1/x HTTP/1.1",
      `host: 127.0.0.1:${server.port}`,
      "connection: keep-alive",
      "authorization: Bearer secret",
      "x-request-id: r",
      "content-length: 2",
    ]);
  });

  test.each([0, 1, 256, 8 * 1024, 8 * 1024 + 1, 1024 * 1024])(
    "a body of %i bytes arrives as it was",
    async (size) => {
      const body = Buffer.from(Uint8Array.from({ length: size }, (_, at) => (at * 7 + (at >> 8)) % 256));
      await completed(sent(new RecordedCall(), body));
      expect(server.connections[0]?.requests[0]?.body.equals(body)).toBe(true);
      await completed();
      expect(server.carried).toEqual([2]);
    },
  );

  test("a path or a header that would end a line early is thrown back, and nothing was begun", () => {
    const call = new RecordedCall();
    expect(() => {
      pool.dispatch({ path: "/a b", headers: {}, body: NOTHING }, call);
    }).toThrow(TypeError);
    expect(() => {
      pool.dispatch({ path: "/", headers: { x: "1\r\ny: 2" }, body: NOTHING }, call);
    }).toThrow(TypeError);
    expect(call.told).toEqual([]);
    expect(() => poolTo("http://127.0.0.1", { headers: { authorization: "a\r\nb" } })).toThrow(TypeError);
  });

  test("to an address of IPv6 with a path of its own", async () => {
    const sixth = new RawServer();
    await sixth.start("::1");
    sixth.answer = server.answer;
    const toSixth = poolTo(`http://[::1]:${sixth.port}/behind/`);
    const call = new RecordedCall();
    toSixth.dispatch({ path: "/behind/v1/x", headers: {}, body: NOTHING }, call);
    await completed(call);
    expect(sixth.connections[0]?.requests[0]?.head).toContain(
      `POST /behind/v1/x HTTP/1.1\r\nhost: [::1]:${sixth.port}\r\n`,
    );
    await toSixth.destroy();
    await sixth.close();
  });
});

describe("connections that are kept", () => {
  test("calls after one another share one", async () => {
    for (let time = 0; time < 5; time += 1) await completed();
    expect(server.carried).toEqual([5]);
  });

  test("a call from within the end of another takes the same one", async () => {
    const second = new RecordedCall();
    await completed(sent(new RecordedCall({ end: () => sent(second) })));
    await completed(second);
    expect(server.carried).toEqual([2]);
  });

  test("calls at a time have one each, and the one that was free last is taken first", async () => {
    server.answer = () => undefined;
    const calls = [sent(), sent(), sent()];
    await asked(3);
    for (const [at, call] of calls.entries()) {
      server.connections[at]?.send(whole("ok"));
      await call.over;
    }
    // Which call has which connection is the system's affair: they were made at the same time.
    const order = server.connections;
    server.answer = (connection) => {
      connection.send(whole(String(order.indexOf(connection))));
    };
    expect((await completed()).body.toString()).toBe("2");
    const pair = [sent(), sent(), sent(), sent()];
    const bodies = await Promise.all(pair.map(async (call) => (await completed(call)).body.toString()));
    expect(bodies).toEqual(["2", "1", "0", "3"]);
  });

  test("an idle one ends a second before its server would end it", async () => {
    server.answer = (connection) => {
      connection.send(whole("ok", "Keep-Alive: timeout=5"));
    };
    await completed();
    await clock.advance(3999);
    await completed();
    expect(server.carried).toEqual([2]);
    // What lies idle counts from its last answer on.
    await clock.advance(3999);
    expect(server.connections[0]?.isClosed).toBe(false);
    await clock.advance(1);
    await closed(0);
    await completed();
    expect(server.carried).toEqual([2, 1]);
  });

  test("one that has lain too long is not used, even where nobody has looked yet", async () => {
    const blind = new ManualClock();
    blind.alarm = () => () => undefined;
    pool = poolTo(`http://127.0.0.1:${server.port}`, { clock: blind });
    await completed();
    await blind.advance(4000);
    await completed();
    expect(server.carried).toEqual([1, 1]);
    await closed(0);
  });

  test.each([
    { what: "its server says close", answer: whole("ok", "connection: close") },
    { what: "its server keeps it for no time", answer: whole("ok", "keep-alive: timeout=1") },
    { what: "it is one of HTTP/1.0", answer: whole("ok").replace("1.1", "1.0") },
    { what: "more comes with the answer", answer: `${whole("ok")}H` },
  ])("none where $what", async ({ answer }) => {
    server.answer = (connection) => {
      connection.send(answer);
    };
    expect((await completed()).body.toString()).toBe("ok");
    await closed(0);
    expect((await completed()).body.toString()).toBe("ok");
    expect(server.carried).toEqual([1, 1]);
  });

  test("an answer that ends with the connection is whole", async () => {
    server.answer = ({ socket }) => {
      socket.end("HTTP/1.1 200 OK\r\n\r\nall of it");
    };
    expect((await completed()).body.toString()).toBe("all of it");
    expect((await completed()).body.toString()).toBe("all of it");
  });

  test.each([
    { what: "its server ends it", by: (at: number) => server.connections[at]?.socket.end() },
    { what: "its server resets it", by: (at: number) => server.connections[at]?.socket.resetAndDestroy() },
    {
      what: "bytes come that nobody asked for",
      by: (at: number) => server.connections[at]?.send(whole("bad")),
    },
  ])("an idle one is forgotten when $what", async ({ by }) => {
    await completed();
    by(0);
    await closed(0);
    // A reset is over for its sender before the other side has heard of it.
    await nextTurn();
    await nextTurn();
    // Nobody looks after it any more.
    await clock.advance(4000);
    expect(clock.sleeping).toBe(0);
    expect((await completed()).body.toString()).toBe("ok");
    expect(server.carried).toEqual([1, 1]);
  });

  test("one whose request is still on its way when the answer is over is not used again", async () => {
    server.sight = (connection) => {
      connection.socket.pause();
      connection.send(whole("too large").replace("200 OK", "413 Too Large"));
    };
    const call = await completed(sent(new RecordedCall(), Buffer.alloc(32 * 1024 * 1024)));
    expect(call).toMatchObject({ status: 413, told: ["start", "head", "data", "end"] });
    server.sight = () => undefined;
    await completed();
    expect(server.carried).toEqual([0, 1]);
  });

  test("an answer before the request was taken, from a server that closes, is an answer", async () => {
    server.sight = ({ socket }) => {
      socket.end(whole("too large", "connection: close").replace("200 OK", "413 Too Large"));
    };
    const call = await completed(sent(new RecordedCall(), Buffer.alloc(32 * 1024 * 1024)));
    expect(call.status).toBe(413);
    expect(call.body.toString()).toBe("too large");
  });
});

describe("the end of a pool", () => {
  test("close waits for what is under way, and takes nothing new", async () => {
    await completed();
    server.answer = () => undefined;
    const underWay = sent();
    await asked(2);
    let isClosed = false;
    const closing = pool.close().finally(() => {
      isClosed = true;
    });
    const late = sent();
    expect(late).toMatchObject({ told: ["error"], code: "UND_ERR_CLOSED" });
    await clock.advance(60_000);
    expect(isClosed).toBe(false);
    server.connections[0]?.send(whole("last"));
    await closing;
    expect((await completed(underWay)).body.toString()).toBe("last");
    await closed(0);
    expect(clock.sleeping).toBe(0);
  });

  test("close of an idle one ends its connections", async () => {
    await completed();
    await pool.close();
    await closed(0);
    expect(clock.sleeping).toBe(0);
  });

  test("destroy cuts what is under way, and takes nothing new", async () => {
    await completed();
    server.answer = () => undefined;
    const calls = [sent(), sent(), sent()];
    await asked(4);
    const destroyed = pool.destroy();
    for (const call of [...calls, sent()]) expect(call).toMatchObject({ code: "UND_ERR_DESTROYED" });
    await destroyed;
    for (const at of [0, 1, 2]) await closed(at);
    expect(clock.sleeping).toBe(0);
  });
});

describe("what is not plain", () => {
  test("TLS through a connector: calls share the connection, and what is large arrives", async () => {
    const { key, certificate: cert } = await makeAuthority(Date.now());
    const secure = new RawServer((take) => createTlsServer({ key, cert }, take));
    await secure.start();
    const large = Buffer.alloc(3_000_000, "abcdefg").toString();
    secure.answer = (connection) => {
      connection.send(whole(large));
    };
    const connector = buildConnector({ allowH2: false, rejectUnauthorized: false });
    pool = poolTo(`https://127.0.0.1:${secure.port}`, { connector });
    const body = Buffer.alloc(1_000_000, "xyz");
    const slow = new RecordedCall({ head: (control) => control.pause() });
    sent(slow, body);
    await eventually(() => {
      expect(slow.told).toContain("head");
    });
    slow.control.resume();
    expect((await completed(slow)).body.toString()).toBe(large);
    expect((await completed()).body.toString()).toBe(large);
    expect(secure.carried).toEqual([2]);
    expect(secure.connections[0]?.requests[0]?.body.equals(body)).toBe(true);
    await pool.destroy();
    await secure.close();
  });

  test("what speaks no TLS is told as that", async () => {
    server.sight = (connection) => {
      connection.send("HTTP/1.1 400 Bad Request\r\n\r\n");
    };
    pool = poolTo(`https://127.0.0.1:${server.port}`, { connector: buildConnector({ allowH2: false }) });
    const call = sent();
    await call.over;
    expect(call.told).toEqual(["start", "error"]);
    expect(["EPROTO", "ERR_SSL_WRONG_VERSION_NUMBER"]).toContain(call.code);
    await pool.close();
  });

  test.each<{ what: string; connector: buildConnector.connector }>([
    {
      what: "says so at once",
      connector: (_options, callback) => {
        callback(new Error("no way"), null);
      },
    },
    {
      what: "throws",
      connector: () => {
        throw new Error("no way");
      },
    },
  ])("a connector that $what is an error of the call, and leaves nothing open", async ({ connector }) => {
    pool = poolTo("https://127.0.0.1:1", { connector });
    expect(sent()).toMatchObject({ told: ["start", "error"], error: new Error("no way") });
    await pool.close();
  });

  test("a connection that comes after its call was aborted is ended", async () => {
    const plain = buildConnector({ allowH2: false });
    const asked = Promise.withResolvers<() => void>();
    const connector: buildConnector.connector = (options, callback) => {
      asked.resolve(() => {
        plain({ ...options, protocol: "http:" }, callback);
      });
    };
    pool = poolTo(`https://127.0.0.1:${server.port}`, { connector });
    const call = sent();
    call.control.abort(new Error("enough"));
    expect(call).toMatchObject({ told: ["start", "error"], error: new Error("enough") });
    (await asked.promise)();
    await closed(0);
    expect(server.carried).toEqual([0]);
  });
});

test("Node's own server: several at a time, again and again, each with its own answer", async () => {
  const http = createHttpServer((request, response) => {
    request.pipe(response);
  });
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  pool = poolTo(`http://127.0.0.1:${(http.address() as AddressInfo).port}`);
  let connections = 0;
  http.on("connection", () => {
    connections += 1;
  });
  for (let round = 0; round < 10; round += 1) {
    const bodies = [1, 100, 10_000, 300_000].map((size) => Buffer.alloc(size, `${round}/${size};`));
    const calls = bodies.map((body) => sent(new RecordedCall(), body));
    for (const [at, call] of calls.entries())
      expect((await completed(call)).body.equals(bodies[at] ?? NOTHING)).toBe(true);
  }
  expect(connections).toBe(4);
  await pool.destroy();
  http.close();
});
