import fc from "fast-check";
import { once } from "node:events";
import { request, type IncomingMessage } from "node:http";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { runsOf } from "../../support/long-runs.ts";
import { readAlone } from "../../support/wire/answer-reading.ts";
import { spoiltAnswer } from "../../support/wire/raw-answers.ts";

/** What Node's own client makes of an answer: a whole one, or none. */
type Read = { readonly status: number | undefined; readonly body: Buffer } | null;

let sent: Buffer = Buffer.alloc(0);
let port = 0;
const sockets = new Set<Socket>();
const server = createServer((socket) => {
  sockets.add(socket);
  socket.on("error", () => undefined);
  socket.on("close", () => sockets.delete(socket));
  socket.once("data", () => socket.end(sent));
});

beforeAll(async () => {
  await once(server.listen(0, "127.0.0.1"), "listening");
  ({ port } = server.address() as AddressInfo);
});

afterAll(() => {
  for (const socket of sockets) socket.destroy();
  server.close();
});

/** Asks for these bytes; what has come of them is known when the connection has ended. */
const byNode = async (bytes: Buffer): Promise<Read> => {
  sent = bytes;
  const pieces: Buffer[] = [];
  let answer: IncomingMessage | null = null;
  const asked = request({ host: "127.0.0.1", port, method: "POST", agent: false, insecureHTTPParser: false });
  asked.on("error", () => undefined);
  asked.on("upgrade", (_answer, socket) => socket.destroy());
  asked.on("response", (begun) => {
    answer = begun;
    begun.on("error", () => undefined);
    begun.on("data", (piece: Buffer) => pieces.push(piece));
  });
  asked.end("{}");
  const [socket] = (await once(asked, "socket")) as [Socket];
  await new Promise((resolve) => socket.once("close", resolve));
  await nextTurn();
  return wholeOf(answer, pieces);
};

const wholeOf = (answer: IncomingMessage | null, pieces: readonly Buffer[]): Read =>
  answer?.complete === true ? { status: answer.statusCode, body: Buffer.concat(pieces) } : null;

/** What is a whole answer here and none there. None of it moves the end of an answer. */
const ONLY_HERE: readonly { readonly reason: string; readonly is: RegExp }[] = [
  {
    reason:
      "words of a chunk's extension are not looked at, as long as they are text: they end with the line",
    is: /\r\n[0-9a-f]{1,8};[\t -~\x80-\xff]*\r\n/i,
  },
];

const isKnown = (bytes: Buffer): boolean => ONLY_HERE.some(({ is }) => is.test(bytes.toString("latin1")));

test("law: what is taken for a whole answer here, Node's strict reader takes for the same", async () => {
  const seen = { both: 0, neither: 0 };
  await fc.assert(
    fc.asyncProperty(spoiltAnswer, async (bytes) => {
      const here = readAlone([bytes]);
      const there = await byNode(bytes);
      seen.both += Number(here.ends > 0 && there !== null);
      seen.neither += Number(here.ends === 0 && there === null);
      if (here.ends === 0 || (there === null && isKnown(bytes))) return;
      expect({ status: here.status, body: here.body }).toEqual(there);
    }),
    { numRuns: runsOf({ ci: 400, fuzz: 10_000 }) },
  );
  // A law about what both take or refuse says nothing where they never do.
  expect(Math.min(seen.both, seen.neither)).toBeGreaterThan(50);
});
