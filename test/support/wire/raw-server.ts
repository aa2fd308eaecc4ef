import { once } from "node:events";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";

export interface ReadRequest {
  readonly head: string;
  readonly body: Buffer;
}

/** One connection as its server sees it. */
export class ServedConnection {
  readonly socket: Socket;
  readonly requests: ReadRequest[] = [];
  isClosed = false;
  /** Not yet a whole request. */
  #kept = Buffer.alloc(0);

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on("error", () => undefined);
    socket.once("close", () => {
      this.isClosed = true;
    });
  }

  send(text: string | Buffer): void {
    this.socket.write(typeof text === "string" ? Buffer.from(text, "latin1") : text);
  }

  /** What these bytes have made whole. */
  take(bytes: Buffer): ReadRequest | null {
    this.#kept = Buffer.concat([this.#kept, bytes]);
    const end = this.#kept.indexOf("\r\n\r\n");
    if (end < 0) return null;
    const head = this.#kept.toString("latin1", 0, end);
    const behind = end + 4 + Number(/content-length: (\d+)/.exec(head)?.[1]);
    if (this.#kept.length < behind) return null;
    const request = { head, body: Buffer.from(this.#kept.subarray(end + 4, behind)) };
    this.#kept = this.#kept.subarray(behind);
    this.requests.push(request);
    return request;
  }
}

/** A server of bytes, which can do what no library would. */
export class RawServer {
  readonly connections: ServedConnection[] = [];
  /** What is done about a request that is whole. */
  answer: (connection: ServedConnection, request: ReadRequest) => void = () => undefined;
  /** What is done at once, before it is whole. */
  sight: (connection: ServedConnection) => void = () => undefined;
  readonly #server: Server;

  constructor(make: (take: (socket: Socket) => void) => Server = createServer) {
    this.#server = make((socket) => {
      const connection = new ServedConnection(socket);
      this.connections.push(connection);
      socket.once("data", () => {
        this.sight(connection);
      });
      socket.on("data", (bytes: Buffer) => {
        const request = connection.take(bytes);
        if (request !== null) this.answer(connection, request);
      });
    });
  }

  async start(host = "127.0.0.1"): Promise<void> {
    await once(this.#server.listen(0, host), "listening");
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** How many requests each connection has carried, in the order in which they were made. */
  get carried(): number[] {
    return this.connections.map(({ requests }) => requests.length);
  }

  async close(): Promise<void> {
    for (const { socket } of this.connections) socket.destroy();
    if (this.#server.listening) await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** A whole answer with these bytes. */
export const whole = (body: string, ...lines: readonly string[]): string =>
  ["HTTP/1.1 200 OK", `content-length: ${Buffer.byteLength(body)}`, ...lines, "", body].join("\r\n");
