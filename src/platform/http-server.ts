import { randomUUID } from "node:crypto";
import {
  STATUS_CODES,
  type IncomingMessage,
  type Server,
  type ServerOptions,
  type ServerResponse,
} from "node:http";
import type { Socket } from "node:net";
import { Server as TlsServer } from "node:tls";
import fastify, {
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
} from "fastify";
import type { Clock } from "../core/clock.ts";
import { CortexError, systemErrorCode, toCortexError } from "../core/errors.ts";
import { present } from "../core/present.ts";
import { MIB_BYTES } from "../core/quantities.ts";
import type { Logger } from "./logger.ts";
import { readBody, type BodyLimits } from "./request-body.ts";
import { systemClock } from "./system-clock.ts";

/** Where a server listens: a TCP address or a Unix socket. Port 0 asks the system for a free one. */
export type ListenAddress =
  | { readonly host: string; readonly port: number }
  | { readonly socketPath: string };

/** A request that was answered with an error by the server itself. */
export interface Refusal {
  readonly error: CortexError;
  readonly requestId: string;
  /** Empty where the request could not be read as far. */
  readonly method: string;
  /** The path as it came, without its query. */
  readonly path: string;
}

export interface HttpServerOptions {
  readonly logger: Logger;
  /** Drives the pace of bodies and the time of last words. */
  readonly clock?: Clock;
  /** Looked at for each body; the default holds a few base64 images, at any pace. */
  readonly bodyLimits?: () => BodyLimits;
  /** How long the head of a request may take to come. */
  readonly headTimeoutMs?: number;
  /** Open connections; one more is told so and closed. */
  readonly maxConnections?: () => number;
  /** Of other processes, which count with this one's; looked at for each connection. */
  readonly connectionsElsewhere?: (() => number) | undefined;
  /** Other spellings of a path, made one before it is routed. */
  readonly rewritePath?: (url: string) => string;
  /** Takes requests that the framework is not to see: a response of its own follows. False: it is to see this one. */
  readonly inFront?: (request: IncomingMessage, response: ServerResponse) => boolean;
  /** Sees connections before a byte of them is read, and leaves to the server what it does not serve itself. */
  readonly door?: Door | undefined;
  /** Is told of each refusal, to log and count it. Without it defects alone are logged. */
  readonly onRefusal?: (refusal: Refusal) => void;
  /** Speaks TLS alone, and asks clients for a certificate. Whether one is needed is for the routes to say. */
  readonly tls?: TlsMaterial | undefined;
  /** The error envelope of the dialect that the server speaks. */
  readonly errorResponse: ErrorResponder;
  /** What there is, for whoever asks for something else. */
  readonly routesHint?: string | undefined;
}

export interface Door {
  enter(socket: Socket, leave: (socket: Socket) => void): void;
  /** The server is about to close: what is idle ends now, the rest after its answer. */
  close(): void;
}

/** `url`: what was asked; undefined where the request could not be read as far. */
type ErrorResponder = (
  error: CortexError,
  url?: string,
) => {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: unknown;
};

/** What a TLS server shows, and whose word about clients it takes; PEM. */
export interface TlsMaterial {
  readonly key: string;
  readonly cert: string;
  readonly ca: string;
}

/** With another certificate from now on; connections that are open stay as they are. */
export function changeCertificate(server: FastifyInstance, tls: TlsMaterial): void {
  if (server.server instanceof TlsServer) server.server.setSecureContext({ ...tls, minVersion: "TLSv1.3" });
}

const noSchema = (): never => {
  throw new Error("routes have no schemas of Fastify's: bodies are read by zod");
};
/**
 * Fastify loads two compilers of JSON schemas, a hundred files, for every server that does not bring its own: a tenth of
 * what a neuron imports at its start.
 */
const WITHOUT_SCHEMAS = { compilersFactory: { buildValidator: noSchema, buildSerializer: noSchema } };

const DEFAULT_BODY_LIMITS: BodyLimits = { maxBytes: 32 * MIB_BYTES, minBytesPerSec: 0 };
const DEFAULT_HEAD_TIMEOUT_MS = 60_000;

/**
 * A Fastify server with cortex's rules: bodies arrive as untouched bytes (a proxy must not parse twice), every
 * failure leaves as the caller's envelope, those of HTTP itself too, and nothing times a long stream out.
 */
export function createHttpServer(options: HttpServerOptions): FastifyInstance {
  const { clock = systemClock, headTimeoutMs = DEFAULT_HEAD_TIMEOUT_MS, rewritePath } = options;
  const limits = options.bodyLimits ?? (() => DEFAULT_BODY_LIMITS);
  const server = fastify({
    logger: false,
    schemaController: WITHOUT_SCHEMAS,
    // Bodies are read by our own parser, which has limits of its own.
    bodyLimit: Number.MAX_SAFE_INTEGER,
    forceCloseConnections: "idle",
    keepAliveTimeout: 75_000,
    requestTimeout: 0,
    ...listenerOptions(options.tls, {
      headersTimeout: headTimeoutMs,
      connectionsCheckingInterval: Math.max(50, Math.ceil(headTimeoutMs / 4)),
      requireHostHeader: false,
    }),
    routerOptions: { maxParamLength: 512 },
    rewriteUrl: ({ url = "/" }) => rewritePath?.(url) ?? url,
    frameworkErrors: (thrown, request, reply) => {
      answerFailure(thrown, request, { reply, options });
    },
    clientErrorHandler: (thrown, socket) => {
      answerOnSocket(fromHttpFailure(thrown), socket, options);
    },
  });
  server.removeAllContentTypeParsers();
  // A body that was refused is a value at first: thrown here, it would have the connection closed under its sender.
  // The type that nearly every body has is found without taking its name apart.
  server.addContentTypeParser(
    ["application/json", "*"],
    (_request: FastifyRequest, payload: IncomingMessage) =>
      readBody(payload, limits(), clock).catch(toCortexError),
  );
  server.addHook("preValidation", (request, reply, done) => {
    const { body } = request;
    if (!(body instanceof CortexError)) {
      done();
      return;
    }
    if (body.code === "request_timeout") reply.header("connection", "close");
    done(body);
  });
  server.setNotFoundHandler((request, reply) => {
    const next = options.routesHint === undefined ? {} : { next: options.routesHint };
    const message = `no route ${request.method} ${pathOf(request.url)}`;
    const error = new CortexError("route_not_found", message, next);
    return answerFailure(error, request, { reply, options });
  });
  server.setErrorHandler((thrown: FastifyError | CortexError, request, reply) =>
    answerFailure(thrown, request, { reply, options }),
  );
  askBeforeLargeBodies(server.server, limits);
  if (options.door !== undefined) openDoor(server, options.door);
  limitConnections(server.server, options);
  if (options.inFront !== undefined) putInFront(server.server, options.inFront);
  return server;
}

function openDoor(server: FastifyInstance, door: Door): void {
  const { server: http } = server;
  const behind = http.listeners("connection");
  http.removeAllListeners("connection");
  const leave = (socket: Socket): void => {
    for (const listener of behind) Reflect.apply(listener, http, [socket]);
  };
  http.on("connection", (entering) => {
    door.enter(entering, leave);
  });
  server.addHook("preClose", (done) => {
    door.close();
    done();
  });
}

function putInFront(server: Server, takes: Required<HttpServerOptions>["inFront"]): void {
  const behind = server.listeners("request");
  server.removeAllListeners("request");
  server.on("request", (request, response) => {
    if (takes(request, response)) return;
    for (const listener of behind) Reflect.apply(listener, server, [request, response]);
  });
}

/** A client without a certificate, or with a foreign one, gets as far as an answer that says so. */
const listenerOptions = (
  tls: TlsMaterial | undefined,
  http: ServerOptions,
): { readonly http: ServerOptions } => {
  if (tls === undefined) return { http };
  const https = { ...http, ...tls, minVersion: "TLSv1.3", requestCert: true, rejectUnauthorized: false };
  // Fastify has a type for each of the two listeners; here they are one.
  return { https } as unknown as { readonly http: ServerOptions };
};

const pathOf = (url: string): string => present(url.split("?")[0], "the path of a request");

interface Answering {
  readonly reply: FastifyReply;
  readonly options: HttpServerOptions;
}

function answerFailure(
  thrown: FastifyError | CortexError,
  request: FastifyRequest,
  { reply, options }: Answering,
): FastifyReply {
  const error = fromFrameworkError(thrown);
  const { method } = request;
  if (error.code === "internal_error") {
    options.logger.error({ err: thrown, method, route: request.routeOptions.url }, "request failed");
  }
  const requestId = String(reply.getHeader("x-request-id") ?? randomUUID());
  reply.header("x-request-id", requestId);
  options.onRefusal?.({ error, requestId, method, path: pathOf(request.originalUrl) });
  const { status, headers, body } = options.errorResponse(error, request.url);
  return reply
    .status(status)
    .headers({ ...headers })
    .send(body);
}

/** `Expect: 100-continue`: a body that is too large by its own word is refused before it is sent. */
function askBeforeLargeBodies(server: Server, limits: () => BodyLimits): void {
  server.on("checkContinue", (request, response) => {
    const announced = Number(request.headers["content-length"] ?? 0);
    if (announced <= limits().maxBytes) response.writeContinue();
    server.emit("request", request, response);
  });
  // Another expectation is one that nobody knows: answered as if it were not there.
  server.on("checkExpectation", (request, response) => {
    server.emit("request", request, response);
  });
}

/** One too many is told why: without an answer it looks like a machine that is down. */
function limitConnections(server: Server, options: HttpServerOptions): void {
  const { maxConnections, connectionsElsewhere = () => 0 } = options;
  if (maxConnections === undefined) return;
  let open = 0;
  server.on("connection", (socket) => {
    open += 1;
    socket.once("close", () => {
      open -= 1;
    });
    const most = maxConnections();
    if (open + connectionsElsewhere() <= most) return;
    const message = `${most} connections are open, which is as many as this server keeps`;
    answerOnSocket(new CortexError("too_many_connections", message), socket, options);
  });
}

/** How long a connection that was refused stays open for its last words to be read. */
const LAST_WORDS_MS = 2000;

/** An answer without a request to answer to: written by hand, and the connection closed. */
function answerOnSocket(error: CortexError | null, socket: Socket, options: HttpServerOptions): void {
  if (error === null || socket.destroyed || socket.writableEnded || !socket.writable) {
    socket.destroy();
    return;
  }
  const requestId = randomUUID();
  options.onRefusal?.({ error, requestId, method: "", path: "" });
  const { status, headers, body } = options.errorResponse(error);
  const text = JSON.stringify(body);
  const lines = Object.entries({
    ...headers,
    "content-type": "application/json; charset=utf-8",
    "content-length": String(Buffer.byteLength(text)),
    "x-request-id": requestId,
    connection: "close",
  }).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}\r\n${lines.join("")}\r\n${text}`);
  // What the client still sends is thrown away: closed under its hands, the connection would show a reset.
  socket.removeAllListeners("data");
  socket.resume();
  const stop = (options.clock ?? systemClock).alarm(LAST_WORDS_MS, () => socket.destroy());
  socket.once("close", stop);
}

/** Null: there is nobody to be told. */
function fromHttpFailure(thrown: Error): CortexError | null {
  const code = systemErrorCode(thrown) ?? "";
  switch (code) {
    case "ECONNRESET":
    case "EPIPE":
      return null;
    case "HPE_HEADER_OVERFLOW":
      return new CortexError("head_too_large", "the request's headers are longer than this server reads");
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return new CortexError("request_timeout", "the head of the request did not come in time");
    default:
      return new CortexError("malformed_request", `the request is not HTTP (${code})`, { cause: thrown });
  }
}

function fromFrameworkError(thrown: FastifyError | CortexError): CortexError {
  if (thrown instanceof CortexError) return thrown;
  switch (thrown.code) {
    case "FST_ERR_BAD_URL":
      return new CortexError("malformed_request", "the path holds an escape that is none", { cause: thrown });
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

/** What keeps a server from listening, in words for its operator. */
export function fromListenError(thrown: unknown, address: ListenAddress): unknown {
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
