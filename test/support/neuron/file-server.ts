import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createHash } from "node:crypto";
import type { AddressInfo } from "node:net";

/** What the server does with one request; `serve` is honest. */
export type Behaviour =
  | "serve"
  /** Sends so many bytes of the body and cuts the connection. */
  | { readonly cutAfter: number }
  /** Sends so many bytes and then nothing more. */
  | { readonly stallAfter: number }
  | { readonly status: number; readonly headers?: Record<string, string> }
  | { readonly redirect: string; readonly headers?: Record<string, string> }
  /** Says another total length than the file has. */
  | { readonly claimTotal: number }
  /** Sends the range `[start + shift, ...)` instead of the one asked for. */
  | { readonly shift: number }
  | "corrupt"
  | "no-ranges";

export interface SeenRequest {
  readonly url: string;
  readonly range: string | undefined;
  readonly ifRange: string | undefined;
  readonly authorization: string | undefined;
}

export interface ServedFile {
  body: Uint8Array;
  etag: string | null;
}

/** A real HTTP server on loopback with ranges and ETags, that misbehaves as told. */
export async function startFileServer() {
  const files = new Map<string, ServedFile>();
  const answers = new Map<string, string>();
  const seen: SeenRequest[] = [];
  let behave: (request: SeenRequest, nth: number) => Behaviour = () => "serve";
  const server = createServer((request, response) => {
    const record: SeenRequest = {
      url: request.url ?? "",
      range: request.headers.range,
      ifRange: request.headers["if-range"] as string | undefined,
      authorization: request.headers.authorization,
    };
    seen.push(record);
    const behaviour = behave(record, seen.length);
    if (typeof behaviour === "object" && "status" in behaviour) {
      response.writeHead(behaviour.status, behaviour.headers).end("no");
      return;
    }
    if (typeof behaviour === "object" && "redirect" in behaviour) {
      response.writeHead(302, { location: behaviour.redirect, ...behaviour.headers }).end();
      return;
    }
    const answer = answers.get(record.url);
    if (answer !== undefined) {
      response.writeHead(200, { "content-type": "application/json" }).end(answer);
      return;
    }
    const file = files.get(new URL(record.url, "http://x").pathname);
    if (file === undefined) response.writeHead(404).end("no such file");
    else serveFile({ request, response, file, behaviour });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    base: `http://127.0.0.1:${port}`,
    files,
    /** Whole answers by path and query, for the hub's API. */
    answers,
    seen,
    put: (path: string, body: Uint8Array, etag: string | null = `"${digestOf(body).slice(0, 12)}"`): void => {
      files.set(path, { body, etag });
    },
    behaves: (how: (request: SeenRequest, nth: number) => Behaviour): void => {
      behave = how;
    },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export type FileServer = Awaited<ReturnType<typeof startFileServer>>;

export const digestOf = (body: Uint8Array): string => createHash("sha256").update(body).digest("hex");

/** Bytes that begin like a model file and repeat nowhere. */
export function modelBytes(length: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = seed;
  for (let at = 0; at < length; at += 1) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    bytes[at] = state >>> 16;
  }
  bytes.set(new TextEncoder().encode("GGUF").subarray(0, length));
  return bytes;
}

function serveFile(exchange: {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly file: ServedFile;
  readonly behaviour: Behaviour;
}): void {
  const { request, response, file, behaviour } = exchange;
  const total =
    typeof behaviour === "object" && "claimTotal" in behaviour ? behaviour.claimTotal : file.body.length;
  const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "") ?? [];
  const ifRange = request.headers["if-range"];
  const isRange =
    first !== undefined && behaviour !== "no-ranges" && (ifRange === undefined || ifRange === file.etag);
  const shift = typeof behaviour === "object" && "shift" in behaviour ? behaviour.shift : 0;
  const start = isRange ? Number(first) + shift : 0;
  const end = isRange ? Math.min(file.body.length, last === "" ? Infinity : Number(last) + 1 + shift) : total;
  if (isRange && start >= file.body.length) {
    response.writeHead(416, { "content-range": `bytes */${total}` }).end();
    return;
  }
  const body = Buffer.from(file.body.subarray(start, end));
  if (behaviour === "corrupt" && body.length > 8) body[8] = (body[8] ?? 0) ^ 0xff;
  response.writeHead(isRange ? 206 : 200, {
    "content-length": isRange ? body.length : total,
    ...(isRange ? { "content-range": `bytes ${start}-${end - 1}/${total}` } : {}),
    ...(file.etag === null ? {} : { etag: file.etag }),
  });
  if (typeof behaviour === "object" && "cutAfter" in behaviour && behaviour.cutAfter < body.length) {
    response.write(body.subarray(0, behaviour.cutAfter), () => response.destroy());
  } else if (
    typeof behaviour === "object" &&
    "stallAfter" in behaviour &&
    behaviour.stallAfter < body.length
  ) {
    response.write(body.subarray(0, behaviour.stallAfter));
  } else if (body.length < total && !isRange) {
    response.write(body, () => response.destroy());
  } else response.end(body);
}
