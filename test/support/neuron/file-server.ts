import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createHash } from "node:crypto";
import type { AddressInfo } from "node:net";

/** What the server does with one request; with nothing set it is honest. */
export interface Behaviour {
  /** Sends so many bytes of the body and cuts the connection. */
  readonly cutAfter?: number;
  /** Sends so many bytes and then nothing more. */
  readonly stallAfter?: number;
  /** Answers this and no file. */
  readonly status?: number;
  readonly redirect?: string;
  readonly headers?: Record<string, string>;
  /** Says another total length than the file has. */
  readonly claimTotal?: number;
  /** Sends the range `[start + shift, ...)` instead of the one asked for. */
  readonly shift?: number;
  readonly corrupt?: boolean;
  readonly noRanges?: boolean;
}

const HONEST: Behaviour = {};
const honestly = (): Behaviour => HONEST;

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
  let behave: (request: SeenRequest, nth: number) => Behaviour = honestly;
  const server = createServer((request, response) => {
    const record: SeenRequest = {
      url: request.url ?? "",
      range: request.headers.range,
      ifRange: request.headers["if-range"] as string | undefined,
      authorization: request.headers.authorization,
    };
    seen.push(record);
    const behaviour = behave(record, seen.length);
    const { status, redirect, headers } = behaviour;
    if (status !== undefined) {
      response.writeHead(status, headers).end("no");
      return;
    }
    if (redirect !== undefined) {
      response.writeHead(302, { location: redirect, ...headers }).end();
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

const COMMIT = "b".repeat(40);

/** `hf:org/<name>` as a hub shows it, at the commit of `bbb...`. */
export function publishRepository(
  server: FileServer,
  name: string,
  files: Readonly<Record<string, Uint8Array>>,
): void {
  const siblings = Object.entries(files).map(([rfilename, body]) => ({
    rfilename,
    size: body.length,
    lfs: { sha256: digestOf(body), size: body.length },
  }));
  const listing = JSON.stringify({ sha: COMMIT, siblings });
  server.answers.set(`/api/models/org/${name}/revision/main?blobs=true`, listing);
  for (const [path, body] of Object.entries(files))
    server.put(`/org/${name}/resolve/${COMMIT}/${path}`, body);
}

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

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly file: ServedFile;
  readonly behaviour: Behaviour;
}

function serveFile({ request, response, file, behaviour }: Exchange): void {
  const total = behaviour.claimTotal ?? file.body.length;
  const range = behaviour.noRanges === true ? null : askedRange(request, file);
  const etag = file.etag === null ? {} : { etag: file.etag };
  if (range === null) {
    response.writeHead(200, { "content-length": total, ...etag });
    const missing = total - file.body.length;
    sendBody(response, file.body, missing > 0 ? { cutAfter: file.body.length } : behaviour);
    return;
  }
  const start = range.start + (behaviour.shift ?? 0);
  const body = Uint8Array.from(file.body.subarray(start, range.end + (behaviour.shift ?? 0)));
  if (body.length === 0) {
    response.writeHead(416, { "content-range": `bytes */${total}` }).end();
    return;
  }
  if (behaviour.corrupt === true) body[body.length - 1] = (body.at(-1) ?? 0) ^ 0xff;
  response.writeHead(206, {
    "content-length": body.length,
    "content-range": `bytes ${start}-${start + body.length - 1}/${total}`,
    ...etag,
  });
  sendBody(response, body, behaviour);
}

/** Null when the whole file is to be sent: no range is asked for, or one of another version. */
function askedRange(request: IncomingMessage, file: ServedFile): { start: number; end: number } | null {
  const [, first, last = ""] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "") ?? [];
  const ifRange = request.headers["if-range"];
  if (first === undefined || (ifRange !== undefined && ifRange !== file.etag)) return null;
  return { start: Number(first), end: last === "" ? file.body.length : Number(last) + 1 };
}

function sendBody(response: ServerResponse, body: Uint8Array, behaviour: Behaviour): void {
  const { cutAfter, stallAfter } = behaviour;
  const isCut = cutAfter !== undefined && cutAfter <= body.length;
  if (isCut) response.write(body.subarray(0, cutAfter), () => response.destroy());
  else if (stallAfter !== undefined && stallAfter < body.length) response.write(body.subarray(0, stallAfter));
  else response.end(body);
}
