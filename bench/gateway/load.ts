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

export interface Seen {
  readonly latenciesMs: readonly number[];
  /** From the write of an event at the neuron to its arrival, one for each event. */
  readonly agesMs: readonly number[];
}

/** Sends the load; rejects at the first answer that is not whole. */
export async function sendLoad(load: Load): Promise<Seen> {
  const bytes = requestBytes(load);
  const latenciesMs: number[] = [];
  const agesMs: number[] = [];
  let left = load.requests;
  const ask = async () => {
    const connection = new Connection(load.port, agesMs);
    while (left > 0) {
      left -= 1;
      const startedMs = performance.now();
      await connection.ask(bytes);
      latenciesMs.push(performance.now() - startedMs);
    }
    connection.close();
  };
  await Promise.all(Array.from({ length: load.connections }, ask));
  return { latenciesMs, agesMs };
}

/** Events say when they were written, by the clock that all processes of a machine share. */
const AT = '"at":"';
export const AT_DIGITS = 16;

function noteAges(chunk: Buffer, agesMs: number[]): void {
  const nowUs = Number(process.hrtime.bigint() / 1000n);
  for (let at = chunk.indexOf(AT); at !== -1; at = chunk.indexOf(AT, at + AT_DIGITS)) {
    const writtenUs = Number(chunk.toString("latin1", at + AT.length, at + AT.length + AT_DIGITS));
    agesMs.push((nowUs - writtenUs) / 1000);
  }
}

/** What all connections read into: nothing of an answer is kept. */
const SHARED = Buffer.allocUnsafe(64 * 1024);

/** One connection, which is kept, and reads one answer after the other. */
class Connection {
  readonly #socket: Socket;
  readonly #agesMs: number[];
  #head = "";
  #inHead = true;
  #bytesLeft: number | null = null;
  #tail = "";
  #done: PromiseWithResolvers<void> = Promise.withResolvers();

  constructor(port: number, agesMs: number[]) {
    this.#agesMs = agesMs;
    const onread = {
      buffer: SHARED,
      callback: (length: number) => {
        this.#onBytes(SHARED.subarray(0, length));
        return true;
      },
    };
    this.#socket = connect({ port, host: "127.0.0.1", noDelay: true, onread });
    this.#socket.on("error", (thrown) => {
      this.#done.reject(thrown);
    });
    this.#socket.on("close", () => {
      this.#done.reject(new Error("the connection was closed"));
    });
  }

  /** Resolves at the end of the answer: by its length, or by the last chunk. */
  ask(request: Buffer): Promise<void> {
    this.#head = "";
    this.#inHead = true;
    this.#bytesLeft = null;
    this.#tail = "";
    this.#done = Promise.withResolvers();
    this.#socket.write(request);
    return this.#done.promise;
  }

  close(): void {
    this.#socket.removeAllListeners();
    this.#socket.destroy();
  }

  #onBytes(chunk: Buffer): void {
    const body = this.#inHead ? this.#afterHead(chunk) : chunk;
    if (body === null) return;
    if (this.#bytesLeft !== null) {
      this.#bytesLeft -= body.length;
      if (this.#bytesLeft === 0) this.#done.resolve();
      return;
    }
    noteAges(body, this.#agesMs);
    this.#tail = (this.#tail + body.toString("latin1", Math.max(0, body.length - 40))).slice(-40);
    if (!this.#tail.endsWith("\r\n0\r\n\r\n") && !this.#tail.includes("reasoning=0\r\n\r\n")) return;
    this.#done.resolve();
  }

  #afterHead(chunk: Buffer): Buffer | null {
    this.#head += chunk.toString("latin1");
    const whole = WHOLE_HEAD.exec(this.#head)?.[0];
    if (whole === undefined) {
      if (this.#head.length > 12 && !this.#head.startsWith("HTTP/1.1 200 ")) {
        this.#done.reject(new Error(`answered ${this.#head.slice(0, 400)}`));
      }
      return null;
    }
    this.#inHead = false;
    const length = /content-length: (\d+)/i.exec(whole)?.[1];
    if (length !== undefined) this.#bytesLeft = Number(length);
    return Buffer.from(this.#head.slice(whole.length), "latin1");
  }
}
