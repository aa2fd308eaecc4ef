import { once } from "node:events";
import { describe, expect, test } from "vitest";
import { eventually } from "../../support/eventually.ts";
import { echo, post, serverWith, untilEnd, type Answering } from "./doorway-bench.ts";

describe("a connection", () => {
  test("carries one request after the other, and goes to Node's server for good with the first of another kind", async () => {
    await using at = await serverWith();
    const client = at.connect();
    for (const body of ["one", "two"]) {
      client.send(post(body));
      await client.until(body);
    }
    client.send("GET /health HTTP/1.1\r\nhost: here\r\ncontent-length: 5\r\n\r\nthree");
    await client.until("three");
    client.send(post("four"));
    await client.until("four");
    expect(at.seen).toEqual(["door /v1/x", "door /v1/x", "node /health", "node /v1/x"]);
  });

  test("is Node's when a head comes in two parts, and nothing of it is lost", async () => {
    await using at = await serverWith();
    const client = at.connect();
    const text = post("whole");
    client.send(text.slice(0, 20));
    await once(client.socket, "connect");
    await eventually(() => {
      expect(client.socket.bytesWritten).toBe(20);
    });
    client.send(text.slice(20));
    await client.until("whole");
    expect(at.seen).toEqual([expect.stringMatching(/\/v1\/x$/)]);
  });

  test("on which nothing is said is Node's after a while, which says so", async () => {
    await using at = await serverWith();
    const client = at.connect();
    await once(client.socket, "connect");
    await eventually(async () => {
      await at.clock.advance(2500);
      expect((await Promise.race([client.closed(), Promise.resolve({ text: client.text })])).text).toContain(
        " 408 ",
      );
    });
  });

  test("that lies idle ends after 75 seconds", async () => {
    await using at = await serverWith();
    const client = at.connect();
    client.send(post("one"));
    await client.until("one");
    await at.clock.advance(70_000);
    client.send(post("two"));
    await client.until("two");
    await at.clock.advance(80_000);
    expect((await client.closed()).text.match(/200 OK/g)).toHaveLength(2);
  });

  test("ends after the answer where the client or the gateway says so", async () => {
    await using at = await serverWith();
    const polite = at.connect();
    polite.send(post("bye", { more: "connection: close\r\n" }));
    expect(await untilEnd(polite)).toContain("Connection: close");
    const other = at.connect();
    other.send(post("one"));
    await other.until("one");
    at.state.closing = true;
    other.send(post("last"));
    expect(await untilEnd(other)).toContain("last");
  });

  test("that waits ends when the server closes, and one that is answered after its answer", async () => {
    const held = Promise.withResolvers<() => void>();
    await using at = await serverWith({
      answer: (request, response, body) => {
        if (body.toString() === "slow") held.resolve(() => echo(request, response, body));
        else echo(request, response, body);
      },
    });
    const [idle, busy] = [at.connect(), at.connect()];
    idle.send(post("one"));
    await idle.until("one");
    busy.send(post("slow"));
    const answerNow = await held.promise;
    const closed = at.server.close();
    await idle.closed();
    answerNow();
    expect(await untilEnd(busy)).toContain("slow");
    await closed;
  });
});

describe("a body", () => {
  test("in many pieces is one", async () => {
    await using at = await serverWith();
    const client = at.connect();
    client.send(post("", { length: 26 }));
    for (const letter of "abcdefghijklmnopqrstuvwxyz") {
      client.send(letter);
      await eventually(() => {
        expect(client.socket.writableLength).toBe(0);
      });
    }
    await client.until("abcdefghijklmnopqrstuvwxyz");
    expect(at.seen).toEqual(["door /v1/x"]);
  });

  test("that is too large is refused at once, and the next request is served when its rest has come", async () => {
    await using at = await serverWith();
    const client = at.connect();
    client.send(post("x".repeat(500), { length: 2000 }));
    await client.until(" 413 ");
    client.send("x".repeat(1500) + post("onward"));
    await client.until("onward");
    expect(at.seen).toEqual(["door /v1/x", "door /v1/x"]);
  });

  test("that was refused and does not end is not waited for for ever", async () => {
    await using at = await serverWith();
    const client = at.connect();
    client.send(post("x", { length: 2000 }));
    await client.until(" 413 ");
    await at.clock.advance(5000);
    expect((await client.closed()).text.match(/HTTP/g)).toHaveLength(1);
  });

  test("that comes too slowly is refused", async () => {
    await using at = await serverWith();
    const client = at.connect();
    client.send(post("x", { length: 900 }));
    await eventually(() => {
      expect(at.seen).toHaveLength(1);
    });
    await at.clock.advance(10_000);
    await client.until(" 408 ");
  });
});

describe("a client that leaves", () => {
  test.each(["before its body is whole", "while its answer is awaited"])(
    "%s ends the request",
    async (when) => {
      await using at = await serverWith({ answer: () => undefined });
      const client = at.connect();
      client.send(post("one", when.startsWith("before") ? { length: 900 } : {}));
      await eventually(() => {
        expect(at.responses).toHaveLength(1);
      });
      const [response] = at.responses;
      let closes = 0;
      response?.once("close", () => (closes += 1));
      client.leave();
      await eventually(() => {
        expect(closes).toBe(1);
      });
      expect(response).toMatchObject({ closed: true, writableFinished: false });
    },
  );

  test("says no more than that it has said all is taken for one that has left", async () => {
    await using at = await serverWith({ answer: () => undefined });
    const client = at.connect();
    client.send(post("one"));
    await eventually(() => {
      expect(at.responses).toHaveLength(1);
    });
    client.socket.end();
    await eventually(() => {
      expect(at.responses[0]?.closed).toBe(true);
    });
  });
});

test("a client that sends without end before it is answered is not read any further, and loses nothing", async () => {
  const held = Promise.withResolvers<() => void>();
  await using at = await serverWith({
    answer: (request, response, body) => {
      if (body.toString() === "first") held.resolve(() => echo(request, response, body));
      else echo(request, response, body);
    },
  });
  const client = at.connect();
  client.send(post("first"));
  const answerNow = await held.promise;
  const ahead = Array.from({ length: 14_000 }, (_, n) => post(`n${n}.`.padEnd(500, "x"))).join("");
  client.send(ahead);
  await eventually(() => {
    expect(at.responses[0]?.socket.isPaused()).toBe(true);
  });
  expect(client.socket.writableLength).toBeGreaterThan(0);
  answerNow();
  client.send(post("end", { more: "connection: close\r\n" }));
  const { text } = await client.closed();
  expect(text.match(/n\d+\./g)).toEqual(Array.from({ length: 14_000 }, (_, n) => `n${n}.`));
});

const headOf = (text: string) =>
  text
    .slice(0, text.indexOf("\r\n\r\n"))
    .replace(/date: .*/i, "Date: now")
    .split("\r\n")
    .toSorted();

describe("an answer has the head that Node's server would give it", () => {
  test.each<{ what: string; answer: Answering; more?: string }>([
    { what: "of a whole answer", answer: echo },
    { what: "that ends the connection", answer: echo, more: "connection: close\r\n" },
    {
      what: "of a stream",
      answer: (_request, response) => {
        response.writeHead(200, { "content-type": "text/event-stream" });
        response.end("0\r\n\r\n");
      },
    },
    {
      what: "with a header that comes twice",
      answer: (_request, response) => {
        response.writeHead(201, { link: ["<a>", "<b>"], "content-length": 0 });
        response.end();
      },
    },
    {
      what: "of nothing",
      answer: (_request, response) => {
        response.writeHead(204, {});
        response.end();
      },
    },
    {
      what: "of a status that nobody knows",
      answer: (_request, response) => {
        response.writeHead(299, { "content-length": 2 });
        response.end(Buffer.from("{}"));
      },
    },
  ])("$what", async ({ answer, more = "" }) => {
    await using at = await serverWith({ answer });
    const [door, node] = [at.connect(), at.connect()];
    door.send(post("{}", { more }));
    node.send(post("{}", { more, path: "/other" }));
    for (const client of [door, node]) await client.until("\r\n\r\n");
    expect(headOf(door.text)).toEqual(headOf(node.text));
    expect(at.seen.toSorted()).toEqual(["door /v1/x", "node /other"]);
  });

  test("and none that would end a line early", async () => {
    const thrown = Promise.withResolvers<unknown>();
    await using at = await serverWith({
      answer: (_request, response) => {
        try {
          response.writeHead(200, { x: "a\r\nset-cookie: b" });
        } catch (error) {
          thrown.resolve(error);
        }
        response.destroy();
      },
    });
    const client = at.connect();
    client.send(post("{}"));
    expect(await thrown.promise).toBeInstanceOf(TypeError);
    expect((await client.closed()).text).toBe("");
  });
});
