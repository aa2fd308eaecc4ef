import { readFile } from "node:fs/promises";
import { setImmediate as nextTurn } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { WirePool } from "../../../src/protocol/wire/io/wire-pool.ts";
import { eventually } from "../../support/eventually.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import { RawServer, whole, type ServedConnection } from "../../support/wire/raw-server.ts";
import { RecordedCall } from "../../support/wire/recorded-call.ts";

/* What becomes of one call: told once whatever happens, and of no other call. */

let clock = new ManualClock();
let server: RawServer;
let pool: WirePool;

beforeEach(async () => {
  clock = new ManualClock();
  server = new RawServer();
  server.answer = (connection) => {
    connection.send(whole("ok"));
  };
  await server.start();
  pool = new WirePool(new URL(`http://127.0.0.1:${server.port}`), { clock, connector: null, headers: {} });
});

afterEach(async () => {
  await pool.destroy();
  await server.close();
});

const BODY = Buffer.from("{}");

function sent(call = new RecordedCall()): RecordedCall {
  pool.dispatch({ path: "/v1/x", headers: {}, body: BODY }, call);
  return call;
}

async function completed(call: RecordedCall): Promise<RecordedCall> {
  await call.over;
  expect(call.error).toBeNull();
  return call;
}

const closed = (at: number) =>
  eventually(() => {
    expect(server.connections[at]?.isClosed).toBe(true);
  });

const reached = (call: RecordedCall, what: RecordedCall["told"][number]) =>
  eventually(() => {
    expect(call.told).toContain(what);
  });

const HEAD = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n";
const CHUNKED = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
const HALF = `${HEAD}half`;
const enough = new Error("enough");

const fault = (): never => {
  throw enough;
};

/** What is there so far is sent before the connection ends. */
const endAfter = (text: string) => (connection: ServedConnection) => {
  connection.socket.end(text);
};

describe("a connection that fails", () => {
  test.each([
    { what: "before the head", text: "", told: ["start", "error"] },
    { what: "within the head", text: HEAD.slice(0, 30), told: ["start", "error"] },
    { what: "behind the head", text: HEAD, told: ["start", "head", "error"] },
    { what: "within the body", text: HALF, told: ["start", "head", "data", "error"] },
    { what: "within a chunk", text: `${CHUNKED}5\r\nhal`, told: ["start", "head", "data", "error"] },
    { what: "between two chunks", text: `${CHUNKED}4\r\nhalf\r\n`, told: ["start", "head", "data", "error"] },
    { what: "before the trailers end", text: `${CHUNKED}0\r\nx: 1\r\n`, told: ["start", "head", "error"] },
    {
      what: "after an informational answer",
      text: "HTTP/1.1 100 Continue\r\n\r\n",
      told: ["start", "error"],
    },
  ])("ends $what", async ({ text, told }) => {
    server.answer = endAfter(text);
    const call = sent();
    await call.over;
    expect(call).toMatchObject({ told, code: "UND_ERR_SOCKET" });
    await closed(0);
    expect(server.carried).toEqual([1]);
  });

  test.each([
    { what: "before the head", text: null, told: ["start", "error"] },
    { what: "within the body", text: HALF, told: ["start", "head", "data", "error"] },
  ])("is reset $what", async ({ text, told }) => {
    server.answer = (connection) => {
      if (text === null) connection.socket.resetAndDestroy();
      else connection.send(text);
    };
    const call = sent(new RecordedCall({ data: () => server.connections[0]?.socket.resetAndDestroy() }));
    await call.over;
    expect(call).toMatchObject({ told, code: "ECONNRESET" });
  });

  test("is refused", async () => {
    await server.close();
    const call = sent();
    await call.over;
    expect(call).toMatchObject({ told: ["start", "error"], code: "ECONNREFUSED" });
    expect(clock.sleeping).toBe(0);
    await pool.close();
  });

  test("does not stand in time", async () => {
    const call = sent();
    expect(clock.sleeping).toBe(1);
    // Within one turn, so that it cannot stand meanwhile.
    const advanced = clock.advance(10_000);
    expect(call).toMatchObject({ told: ["start", "error"], code: "UND_ERR_CONNECT_TIMEOUT" });
    await advanced;
    expect(clock.sleeping).toBe(0);
    await pool.close();
  });

  test("stands in time, and then there is no limit", async () => {
    server.answer = () => undefined;
    const call = sent();
    await eventually(() => {
      expect(server.carried).toEqual([1]);
    });
    expect(clock.sleeping).toBe(0);
    await clock.advance(100 * 3_600_000);
    expect(call.told).toEqual(["start"]);
    server.connections[0]?.send(whole("late"));
    expect((await completed(call)).body.toString()).toBe("late");
  });

  test.skipIf(process.platform !== "linux")("is probed after a minute without a sign", async () => {
    server.answer = () => undefined;
    sent();
    await eventually(() => {
      expect(server.carried).toEqual([1]);
    });
    const port = server.connections[0]?.socket.remotePort ?? 0;
    const sockets = (await readFile("/proc/net/tcp", "utf8"))
      .split("\n")
      .map((line) => line.trim().split(/\s+/));
    const here = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
    const timer = sockets.find(([, local]) => local?.endsWith(here))?.[5] ?? "";
    // Its kind, keep-alive, and the hundredths of a second that are left.
    const [kind, left = ""] = timer.split(":");
    expect(kind).toBe("02");
    expect(Number.parseInt(left, 16) / 100).toBeLessThanOrEqual(60);
  });

  test.each([
    { what: "no answer of HTTP", text: "SSH-2.0-OpenSSH_9.9\r\n\r\n", told: ["start", "error"] },
    {
      what: "two lengths",
      text: "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
      told: ["start", "error"],
    },
    {
      what: "a chunk that is none",
      text: `${CHUNKED}4\r\nhalf\r\nhalf\r\n`,
      told: ["start", "head", "data", "error"],
    },
  ])("brings $what: it ends, and no other", async ({ what, text, told }) => {
    server.answer = (connection, { body }) => {
      connection.send(body.toString() === what ? text : HALF);
    };
    const other = sent();
    await reached(other, "data");
    const call = new RecordedCall();
    pool.dispatch({ path: "/", headers: {}, body: Buffer.from(what) }, call);
    await call.over;
    expect(call).toMatchObject({ told, code: "HPE_MALFORMED_ANSWER" });
    await closed(1);
    server.connections[0]?.send("x".repeat(96));
    expect((await completed(other)).body.toString()).toBe(`half${"x".repeat(96)}`);
  });
});

describe("a call that is aborted is told of it once and at once, and its server sees the end", () => {
  test("before the connection stands", async () => {
    const call = sent();
    call.control.abort(enough);
    expect(call).toMatchObject({ told: ["start", "error"], error: enough });
    call.control.abort(new Error("again"));
    expect(call.told).toEqual(["start", "error"]);
    await pool.close();
    expect(server.carried.every((requests) => requests === 0)).toBe(true);
    expect(clock.sleeping).toBe(0);
  });

  test("before there is a connection: none is made", async () => {
    const call = sent(new RecordedCall({ start: (control) => control.abort(enough) }));
    expect(call).toMatchObject({ told: ["start", "error"], error: enough });
    expect(clock.sleeping).toBe(0);
    await completed(sent());
    expect(server.carried).toEqual([1]);
  });

  test.each([
    { what: "before the head", text: "", until: "start", told: ["start", "error"] },
    { what: "within the body", text: HALF, until: "data", told: ["start", "head", "data", "error"] },
  ] as const)("$what", async ({ text, until, told }) => {
    server.answer = (connection) => {
      connection.send(text);
    };
    const call = sent();
    await eventually(() => {
      expect(server.carried).toEqual([1]);
    });
    await reached(call, until);
    call.control.abort(enough);
    expect(call).toMatchObject({ told, error: enough });
    await closed(0);
    expect(call.told).toEqual(told);
  });

  test.each([
    { within: "start", told: ["start", "error"] },
    { within: "head", told: ["start", "head", "error"] },
    { within: "data", told: ["start", "head", "data", "error"] },
  ] as const)("from within: $within, though all of the answer is there", async ({ within, told }) => {
    await completed(sent());
    const call = sent(
      new RecordedCall({ [within]: (control: RecordedCall["control"]) => control.abort(enough) }),
    );
    await call.over;
    expect(call).toMatchObject({ told, error: enough });
    await closed(0);
    expect(call.told).toEqual(told);
    await completed(sent());
  });

  test("from within its end or its error: nothing happens any more", async () => {
    await completed(sent(new RecordedCall({ end: (control) => control.abort(enough) })));
    await completed(sent());
    expect(server.carried).toEqual([2]);
    server.answer = endAfter("");
    const failed = sent(new RecordedCall({ error: (control) => control.abort(enough) }));
    await failed.over;
    expect(failed).toMatchObject({ told: ["start", "error"], code: "UND_ERR_SOCKET" });
  });

  test("what is done to a call after its end does nothing to the next one on its connection", async () => {
    const first = await completed(sent());
    server.answer = (connection) => {
      connection.send(HALF);
    };
    const next = sent();
    await reached(next, "data");
    first.control.abort(enough);
    first.control.pause();
    server.connections[0]?.send("x".repeat(96));
    expect((await completed(next)).body.length).toBe(100);
    expect(server.carried).toEqual([2]);
    expect(first.told).toEqual(["start", "head", "data", "end"]);
  });
});

describe("a handler that throws is told what it threw", () => {
  test.each([
    { within: "start", told: ["start", "error"] },
    { within: "head", told: ["start", "head", "error"] },
    { within: "data", told: ["start", "head", "data", "error"] },
  ] as const)("$within: and loses its connection, and no other", async ({ within, told }) => {
    const other = sent(new RecordedCall({ head: () => undefined }));
    const call = sent(new RecordedCall({ [within]: fault }));
    await call.over;
    expect(call).toMatchObject({ told, error: enough });
    expect((await completed(other)).body.toString()).toBe("ok");
    await completed(sent());
    expect(call.told).toEqual(told);
  });

  test("end: the connection is whole, and may carry another call already", async () => {
    const next = new RecordedCall();
    const call = new RecordedCall({
      end: () => {
        sent(next);
        fault();
      },
    });
    await sent(call).over;
    expect((await completed(next)).body.toString()).toBe("ok");
    expect(call).toMatchObject({ told: ["start", "head", "data", "end", "error"], error: enough });
    expect(server.carried).toEqual([2]);
  });

  test("what is no Error becomes one", async () => {
    const call = new RecordedCall({
      head: () => {
        // eslint-disable-next-line typescript/only-throw-error -- some do
        throw "a text";
      },
    });
    await sent(call).over;
    expect(call.error).toEqual(new Error("a text"));
  });
});

describe("what is read", () => {
  test("several events that come together are told together", async () => {
    const events = ["data: 1\n\n", "data: 2\n\n", "data: 3\n\n"];
    const chunks = events.map((event) => `${event.length.toString(16)}\r\n${event}\r\n`);
    server.answer = (connection) => {
      connection.send(`${CHUNKED}${chunks.join("")}0\r\nx-cost: 3\r\n\r\n`);
    };
    const call = await completed(sent());
    expect(call.pieces.map(String)).toEqual([events.join("")]);
    expect({ ...call.trailers }).toEqual({ "x-cost": "3" });
  });

  test("each connection's bytes are its own, though all are read into the same buffer", async () => {
    const size = 1_500_000;
    server.answer = ({ socket }, { body }) => {
      socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${size}\r\n\r\n`);
      for (let left = size; left > 0; left -= 10_000) socket.write(Buffer.alloc(10_000, body));
    };
    const letters = ["a", "b", "c", "d"];
    const calls = letters.map((letter) => {
      const call = new RecordedCall();
      pool.dispatch({ path: "/", headers: {}, body: Buffer.from(letter) }, call);
      return call;
    });
    for (const [at, call] of calls.entries()) {
      expect((await completed(call)).body.equals(Buffer.alloc(size, letters[at]))).toBe(true);
      expect(call.pieces.length).toBeGreaterThan(1);
    }
  });

  test("a paused call stops its server, and gets all when it goes on", async () => {
    const size = 50_000_000;
    const piece = Buffer.alloc(50_000, "x");
    let left = size;
    server.answer = ({ socket }) => {
      const write = () => {
        while (left > 0) {
          left -= piece.length;
          if (!socket.write(piece)) {
            socket.once("drain", write);
            return;
          }
        }
      };
      socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${size}\r\n\r\n`);
      write();
    };
    const call = sent(new RecordedCall({ head: (control) => control.pause() }));
    await reached(call, "head");
    const piecesThen = call.pieces.length;
    let quietTurns = 0;
    for (let before = left; quietTurns < 200; before = left) {
      await nextTurn();
      quietTurns = left === before ? quietTurns + 1 : 0;
    }
    expect(left).toBeGreaterThan(size / 2);
    // What the same read had brought is told still.
    expect(call.pieces.length).toBeLessThanOrEqual(Math.max(piecesThen, 1));
    call.control.resume();
    expect((await completed(call)).body.length).toBe(size);
  });

  test("a call that is paused to its end leaves a connection that reads", async () => {
    await completed(sent(new RecordedCall({ head: (control) => control.pause() })));
    await completed(sent());
    expect(server.carried).toEqual([2]);
  });

  test("a call that is paused before its connection stands is read when it goes on", async () => {
    const call = sent(new RecordedCall({ start: (control) => control.pause() }));
    await eventually(() => {
      expect(server.carried).toEqual([1]);
    });
    for (let turn = 0; turn < 50; turn += 1) await nextTurn();
    expect(call.told).toEqual(["start"]);
    call.control.resume();
    expect((await completed(call)).body.toString()).toBe("ok");
  });
});
