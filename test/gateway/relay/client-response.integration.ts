import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import { connect, type AddressInfo } from "node:net";
import { afterEach, expect, test } from "vitest";
import { ClientResponse, EVENT_STREAM_HEADERS } from "../../../src/gateway/relay/io/client-response.ts";

const opened: (() => void)[] = [];

afterEach(() => {
  for (const close of opened.splice(0)) close();
});

/** What a client gets on one connection until it is closed, for so many requests sent at once. */
async function received(requests: number, answer: (response: ServerResponse) => void): Promise<string> {
  const server = createServer((_request, response) => {
    answer(response);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  opened.push(() => server.close());
  const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
  let text = "";
  socket.on("data", (bytes: Buffer) => {
    text += bytes.toString("latin1");
  });
  const last = "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
  socket.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n".repeat(requests - 1) + last);
  await once(socket, "close");
  return text;
}

const bodyOf = (text: string): string => text.slice(text.indexOf("\r\n\r\n") + 4);

const stream = (raw: ServerResponse): ClientResponse => {
  const response = new ClientResponse(raw, {});
  response.writeHead(200, EVENT_STREAM_HEADERS);
  return response;
};

test("events of one turn are one chunk, those of the next another, and the end goes with the last", async () => {
  const text = await received(1, (raw) => {
    const response = stream(raw);
    for (const event of ["one ", "two ", "three "]) response.write(Buffer.from(event));
    setImmediate(() => {
      response.write(Buffer.from("four "));
      response.write(Buffer.from("five "));
      setImmediate(() => {
        response.write(Buffer.from("six"));
        response.end();
      });
    });
  });
  expect(bodyOf(text)).toBe("e\r\none two three \r\na\r\nfour five \r\n3\r\nsix\r\n0\r\n\r\n");
});

test("a stream behind another on its connection waits for it, and is whole", async () => {
  const raws: ServerResponse[] = [];
  const text = await received(2, (raw) => {
    raws.push(raw);
    const [first, second] = raws;
    if (first === undefined || second === undefined) return;
    const [ahead, behind] = [stream(first), stream(second)];
    behind.write(Buffer.from("second "));
    setImmediate(() => {
      behind.write(Buffer.from("answer"));
      setImmediate(() => {
        behind.end();
        ahead.write(Buffer.from("first"));
        ahead.end();
      });
    });
  });
  const bodies = text
    .split(/HTTP\/1\.1 200 OK\r\n/)
    .slice(1)
    .map(bodyOf);
  expect(bodies).toStrictEqual(["5\r\nfirst\r\n0\r\n\r\n", "7\r\nsecond \r\n6\r\nanswer\r\n0\r\n\r\n"]);
});

test("a stream that is cut has what came before, and no end", async () => {
  const text = await received(1, (raw) => {
    const response = stream(raw);
    response.write(Buffer.from("half"));
    response.cut();
  });
  expect(bodyOf(text)).toBe("4\r\nhalf\r\n");
});

test("an answer of a known length has no end beside its last byte", async () => {
  const text = await received(1, (raw) => {
    const response = new ClientResponse(raw, { "x-request-id": "a" });
    response.writeHead(200, { "content-type": "application/json", "content-length": "10" });
    response.write(Buffer.from("12345"));
    response.write(Buffer.from("67890"));
    response.end();
  });
  expect(bodyOf(text)).toBe("1234567890");
});
