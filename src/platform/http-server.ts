import fastify, { type FastifyError, type FastifyInstance, type FastifyReply } from "fastify";
import { CortexError, systemErrorCode, toCortexError } from "../core/errors.ts";
import { present } from "../core/present.ts";
import { MIB_BYTES } from "../core/quantities.ts";
import type { Logger } from "./logger.ts";

/** Where a server listens: a TCP address or a Unix socket. Port 0 asks the system for a free one. */
export type ListenAddress =
  | { readonly host: string; readonly port: number }
  | { readonly socketPath: string };

export interface HttpServerOptions {
  readonly logger: Logger;
  /** Largest request body; the default holds a few base64 images. */
  readonly bodyLimitBytes?: number;
  /** The error envelope of the dialect that the server speaks. */
  readonly errorResponse: (error: CortexError) => {
    readonly status: number;
    readonly headers: Readonly<Record<string, string>>;
    readonly body: unknown;
  };
}

const DEFAULT_BODY_LIMIT_BYTES = 32 * MIB_BYTES;

/**
 * A Fastify server with cortex's rules: bodies arrive as untouched bytes (a proxy must not parse twice), every
 * failure leaves as the caller's envelope, and nothing times a long stream out.
 */
export function createHttpServer(options: HttpServerOptions): FastifyInstance {
  const server = fastify({
    logger: false,
    bodyLimit: options.bodyLimitBytes ?? DEFAULT_BODY_LIMIT_BYTES,
    forceCloseConnections: "idle",
    keepAliveTimeout: 75_000,
    requestTimeout: 0,
    routerOptions: { maxParamLength: 512 },
  });
  server.removeAllContentTypeParsers();
  server.addContentTypeParser("*", { parseAs: "buffer" }, (_request, body, done) => {
    done(null, body);
  });
  server.setNotFoundHandler((request, reply) => {
    const message = `no route ${request.method} ${present(request.url.split("?")[0], "the path of a request")}`;
    return sendError(reply, new CortexError("route_not_found", message), options.errorResponse);
  });
  server.setErrorHandler((thrown: FastifyError | CortexError, request, reply) => {
    const error = fromFrameworkError(thrown);
    if (error.code === "internal_error") {
      options.logger.error(
        { err: thrown, method: request.method, route: request.routeOptions.url },
        "request failed",
      );
    }
    return sendError(reply, error, options.errorResponse);
  });
  return server;
}

function sendError(
  reply: FastifyReply,
  error: CortexError,
  errorResponse: HttpServerOptions["errorResponse"],
) {
  const { status, headers, body } = errorResponse(error);
  return reply
    .status(status)
    .headers({ ...headers })
    .send(body);
}

function fromFrameworkError(thrown: FastifyError | CortexError): CortexError {
  if (thrown instanceof CortexError) return thrown;
  switch (thrown.code) {
    case "FST_ERR_CTP_BODY_TOO_LARGE":
      return new CortexError("body_too_large", "the request body is larger than this server takes", {
        cause: thrown,
      });
    case "FST_ERR_CTP_INVALID_MEDIA_TYPE":
      return new CortexError("unsupported_media_type", thrown.message, { cause: thrown });
    default:
      return toCortexError(thrown);
  }
}

/** Parses the untouched bytes of a request as JSON; an empty body is `undefined`. */
export function parseJsonBody(body: unknown): unknown {
  if (!Buffer.isBuffer(body) || body.length === 0) return undefined;
  try {
    return JSON.parse(body.toString("utf8")) as unknown;
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message : "not JSON";
    throw new CortexError("malformed_json", `the request body is not JSON: ${reason}`, { cause: thrown });
  }
}

/** Starts listening; a taken port is the operator's to mend and says so. Returns the bound port, or 0 for a socket. */
export async function listen(server: FastifyInstance, address: ListenAddress): Promise<number> {
  try {
    if ("socketPath" in address) {
      await server.listen({ path: address.socketPath });
      return 0;
    }
    await server.listen({ host: address.host, port: address.port });
  } catch (thrown) {
    throw fromListenError(thrown, address);
  }
  const bound = server.server.address();
  return present(typeof bound === "string" ? undefined : bound, "the bound address").port;
}

function fromListenError(thrown: unknown, address: ListenAddress): unknown {
  const errno = systemErrorCode(thrown);
  const place = "socketPath" in address ? address.socketPath : `${address.host}:${address.port}`;
  if (errno === "EADDRINUSE") {
    return new CortexError("address_in_use", `${place} is taken by another process`, {
      details: { address: place },
      cause: thrown,
    });
  }
  if (errno === "EACCES" || errno === "EADDRNOTAVAIL") {
    return new CortexError("usage_error", `cannot listen on ${place} (${errno})`, {
      next: "choose an address of this machine and a port above 1023",
      cause: thrown,
    });
  }
  return thrown;
}
