import { connect, type Socket } from "node:net";

/** So many requests, `connections` at a time, each on a connection that is kept. */
export interface Load {
  readonly port: number;
  readonly connections: number;
  readonly requests: number;
  readonly body: string;
  readonly secret: string;
}

const WHOLE_HEAD = /^HTTP\/1\.1 200 [^]*?\r\n\r\n/;

const requestBytes = ({ port, body, secret }: Load): Buffer =>
  Buffer.from(
    [
      "POST /v1/chat/completions HTTP/1.1",
      `host: 127.0.0.1:${port}`,
      "content-type: application/json",
      "user-agent: bench",
      `authorization: Bearer ${secret}`,
      `content-length: ${Buffer.byteLength(body)}`,
      "",
      body,
    ].join("\r\n"),
  );

/** Sends the load; rejects at the first answer that is not whole. The latencies, in milliseconds. */
export async function sendLoad(load: Load): Promise<readonly number[]> {
  const bytes = requestBytes(load);
  const latenciesMs: number[] = [];
  let left = load.requests;
  const ask = async () => {
    const socket = connect(load.port, "127.0.0.1");
    socket.setNoDelay(true);
    while (left > 0) {
      left -= 1;
      const startedMs = performance.now();
      socket.write(bytes);
      await answered(socket);
      latenciesMs.push(performance.now() - startedMs);
    }
    socket.destroy();
  };
  await Promise.all(Array.from({ length: load.connections }, ask));
  return latenciesMs;
}

/** Resolves at the end of one answer: by its length, or by the last chunk. */
function answered(socket: Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    let head = "";
    let bytesLeft: number | null = null;
    let tail = "";
    const done = (problem?: string) => {
      socket.removeAllListeners();
      if (problem === undefined) resolve();
      else reject(new Error(problem));
    };
    const onHead = (chunk: Buffer): Buffer | null => {
      head += chunk.toString("latin1");
      const whole = WHOLE_HEAD.exec(head)?.[0];
      if (whole === undefined) {
        if (head.length > 12 && !head.startsWith("HTTP/1.1 200 ")) done(`answered ${head.slice(0, 400)}`);
        return null;
      }
      const length = /content-length: (\d+)/i.exec(whole)?.[1];
      if (length !== undefined) bytesLeft = Number(length);
      const rest = Buffer.from(head.slice(whole.length), "latin1");
      head = whole;
      return rest;
    };
    let inHead = true;
    socket.on("data", (chunk: Buffer) => {
      let body: Buffer | null = chunk;
      if (inHead) {
        body = onHead(chunk);
        if (body === null) return;
        inHead = false;
      }
      if (bytesLeft !== null) {
        bytesLeft -= body.length;
        if (bytesLeft === 0) done();
        return;
      }
      tail = (tail + body.subarray(-40).toString("latin1")).slice(-40);
      if (!tail.endsWith("\r\n0\r\n\r\n")) return;
      done(tail.includes("[DONE]") ? undefined : `the stream ended with ${tail}`);
    });
    socket.on("error", (thrown) => {
      done(thrown.message);
    });
    socket.on("close", () => {
      done("the connection was closed");
    });
  });
}
