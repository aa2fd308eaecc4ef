import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { pino } from "pino";
import type { DirectRequest } from "../../../src/gateway/front/io/direct-request.ts";
import type { DirectResponse } from "../../../src/gateway/front/io/direct-response.ts";
import { Doorway } from "../../../src/gateway/front/io/doorway.ts";
import { toCortexError } from "../../../src/core/errors.ts";
import { createHttpServer, listen } from "../../../src/platform/http-server.ts";
import { readBody } from "../../../src/platform/request-body.ts";
import { toErrorResponse } from "../../../src/protocol/error-envelope.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import { RawClient } from "../../support/raw-http.ts";

const LIMITS = { maxBytes: 1000, minBytesPerSec: 100 };

export type Answering = (
  request: Pick<DirectRequest, "headers">,
  response: DirectResponse | ServerResponse,
  body: Buffer,
) => void;

export const echo: Answering = (_request, response, body) => {
  response.writeHead(200, { "content-type": "text/plain", "content-length": body.length });
  response.end(body);
};

interface Direct {
  readonly request: DirectRequest;
  readonly response: DirectResponse;
  readonly answer: Answering;
  readonly clock: ManualClock;
}

async function answerDirectly({ request, response, answer, clock }: Direct): Promise<void> {
  try {
    answer(request, response, await request.readBody(LIMITS, clock));
  } catch (thrown) {
    const { status, headers, body } = toErrorResponse(toCortexError(thrown));
    const text = JSON.stringify(body);
    response.writeHead(status, { ...headers, "content-length": text.length });
    response.end(text);
  }
}

interface ByNode extends Pick<Direct, "answer" | "clock"> {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

async function answerByNode({ request, response, answer, clock }: ByNode): Promise<void> {
  answer(request, response, await readBody(request, { maxBytes: 1 << 20, minBytesPerSec: 0 }, clock));
}

/** Answered before a byte of the body is asked for. */
export const UNREAD = "/v1/unread";

/** A server with a door for `/v1/`, and Node's own way for everything else. */
export async function serverWith({
  answer = echo,
  answerUnread,
}: { answer?: Answering; answerUnread?: (response: DirectResponse) => void } = {}) {
  const clock = new ManualClock();
  const seen: string[] = [];
  const responses: DirectResponse[] = [];
  const state = { closing: false };
  const door = new Doorway({
    clock,
    isClosing: () => state.closing,
    serve: (request, response) => {
      if (!request.url.startsWith("/v1/")) return false;
      seen.push(`door ${request.url}`);
      responses.push(response);
      if (request.url === UNREAD) {
        answerUnread?.(response);
        return true;
      }
      void answerDirectly({ request, response, answer, clock });
      return true;
    },
  });
  const server = createHttpServer({
    logger: pino({ level: "silent" }),
    clock,
    errorResponse: toErrorResponse,
    headTimeoutMs: 200,
    door,
    inFront: (request: IncomingMessage, response: ServerResponse) => {
      seen.push(`node ${request.url}`);
      void answerByNode({ request, response, answer, clock });
      return true;
    },
  });
  await listen(server, { host: "127.0.0.1", port: 0 });
  const { port } = server.server.address() as AddressInfo;
  const clients: RawClient[] = [];
  return {
    clock,
    door,
    seen,
    responses,
    server,
    state,
    connect: () => {
      const client = new RawClient(`http://127.0.0.1:${port}`);
      clients.push(client);
      return client;
    },
    [Symbol.asyncDispose]: async () => {
      for (const client of clients) client.leave();
      await server.close();
    },
  };
}

export const post = (body: string, { path = "/v1/x", more = "", length = body.length } = {}): string =>
  `POST ${path} HTTP/1.1\r\nhost: here\r\n${more}content-length: ${length}\r\n\r\n${body}`;

/** All that came until the connection was ended in good order. */
export async function untilEnd(client: RawClient): Promise<string> {
  const { ending, text } = await client.closed();
  return ending === "ended" ? text : ending;
}
