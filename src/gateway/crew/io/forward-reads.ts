import { Agent, request as ask, type IncomingMessage, type RequestOptions } from "node:http";
import { pipeline } from "node:stream";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { CortexError } from "../../../core/errors.ts";

/** Every path that a worker has no route for. */
export const FORWARDED_PATH = "/*";

/** Of this connection, and of no other. */
const HOP_HEADERS = new Set([
  "connection",
  "keep-alive",
  "transfer-encoding",
  "upgrade",
  "te",
  "trailer",
  "expect",
]);

/** Has the owner answer whatever no model is asked for: so its answer is the same, whichever worker was asked. */
export function forwardReads(server: FastifyInstance, ownerSocket: string): { readonly close: () => void } {
  const agent = new Agent({ keepAlive: true });
  server.all(FORWARDED_PATH, (request, reply) => {
    void forward(request, reply, { agent, socketPath: ownerSocket });
  });
  return {
    close: () => {
      agent.destroy();
    },
  };
}

async function forward(
  request: FastifyRequest,
  reply: FastifyReply,
  owner: { readonly agent: Agent; readonly socketPath: string },
): Promise<void> {
  const body = Buffer.isBuffer(request.body) ? request.body : null;
  const headers = {
    ...withoutHops(request.raw.headers),
    "x-request-id": request.id,
    ...(body === null ? {} : { "content-length": String(body.length) }),
  };
  const call = { ...owner, method: request.method, path: request.originalUrl, headers };
  try {
    const answer = await answerOf(call, body, reply);
    reply.hijack();
    reply.raw.writeHead(answer.statusCode ?? 502, withoutHops(answer.headers));
    pipeline(answer, reply.raw, () => {
      answer.destroy();
    });
  } catch (thrown) {
    void reply.send(new CortexError("draining", "the gateway is shutting down", { cause: thrown }));
  }
}

function answerOf(call: RequestOptions, body: Buffer | null, reply: FastifyReply): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const asked = ask(call, resolve);
    asked.once("error", reject);
    reply.raw.once("close", () => asked.destroy());
    asked.end(body ?? undefined);
  });
}

const withoutHops = (headers: Readonly<Record<string, string | string[] | undefined>>) =>
  Object.fromEntries(
    Object.entries(headers).filter(
      (header): header is [string, string | string[]] =>
        !HOP_HEADERS.has(header[0]) && header[1] !== undefined,
    ),
  );
