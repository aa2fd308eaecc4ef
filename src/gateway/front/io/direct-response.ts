import { STATUS_CODES } from "node:http";
import type { Socket } from "node:net";

/** What no header may contain; Node refuses the same. */
const FORBIDDEN = /[^\t\x20-\x7e\x80-\xff]/;
const TOKEN = /^[\w!#$%&'*+.^`|~-]+$/;
const WITHOUT_BODY: ReadonlySet<number> = new Set([204, 304]);
/** Up to this length an answer leaves as one text, which Node writes without an object for it. */
const SMALL_BYTES = 8 * 1024;

type HeadValues = Readonly<Record<string, string | string[] | number | undefined>>;

const goodNames = new Set<string>();
const MOST_NAMES = 500;

interface DirectResponseOptions {
  readonly socket: Socket;
  /** The client wants the connection ended after it. */
  readonly closes: boolean;
  /** The line that says what time it is. */
  readonly dateLine: () => string;
  readonly keepAliveLine: string;
  /** Once everything has been handed to the system: whether another request may follow. */
  readonly onFinished: (mayGoOn: boolean) => void;
  /** It has ended, but the client has not taken all of it yet. */
  readonly onHeldUp: () => void;
}

/**
 * The answer to a request that did not come through Node's HTTP server, with those parts of its response that the
 * gateway uses, and the same bytes on the wire.
 */
export class DirectResponse {
  readonly socket: Socket;
  readonly #options: DirectResponseOptions;
  chunkedEncoding = false;
  headersSent = false;
  writableEnded = false;
  writableFinished = false;
  /** Its connection has gone, or it has been sent. */
  closed = false;
  #closes: boolean;
  #isBodiless = false;
  /** Leaves with the first bytes. */
  #head = "";
  #onClose: (() => void)[] = [];

  constructor(options: DirectResponseOptions) {
    this.socket = options.socket;
    this.#options = options;
    this.#closes = options.closes;
  }

  get destroyed(): boolean {
    return this.socket.destroyed;
  }

  get writableNeedDrain(): boolean {
    return !this.writableEnded && this.socket.writableNeedDrain;
  }

  /** Throws `TypeError` for a header that would end a line early, and `RangeError` for what is the status of no answer. */
  writeHead(status: number, headers: HeadValues): void {
    if (this.headersSent) throw new Error("the head was sent already");
    if (!(status >= 200 && status <= 999)) throw new RangeError(`${status} is the status of no answer`);
    if (headers["connection"] === "close") this.#closes = true;
    let head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? "unknown"}\r\n${headerLines(headers)}`;
    this.#isBodiless = WITHOUT_BODY.has(status);
    this.chunkedEncoding = headers["content-length"] === undefined && !this.#isBodiless;
    if (this.chunkedEncoding) head += "Transfer-Encoding: chunked\r\n";
    const { dateLine, keepAliveLine } = this.#options;
    if (headers["date"] === undefined) head += dateLine();
    // What throws before this leaves room for another head.
    this.headersSent = true;
    this.#head = `${head}${this.#closes ? "Connection: close\r\n" : keepAliveLine}\r\n`;
  }

  write(piece: Buffer | string, done?: () => void): boolean {
    if (this.writableEnded || this.socket.destroyed) return false;
    const text = this.#isBodiless ? "" : piece;
    const head = this.#takeHead();
    const { socket } = this;
    if (head === "") return socket.write(text, done);
    const bytes = typeof text === "string" ? Buffer.from(text) : text;
    if (bytes.length <= SMALL_BYTES) return socket.write(head + bytes.toString("latin1"), "latin1", done);
    socket.cork();
    socket.write(head, "latin1");
    const keepsUp = socket.write(bytes, done);
    socket.uncork();
    return keepsUp;
  }

  end(bytes?: Buffer | string): void {
    if (this.writableEnded) return;
    if (bytes !== undefined && bytes.length > 0) this.write(bytes);
    else if (this.#head !== "") this.socket.write(this.#takeHead(), "latin1");
    this.writableEnded = true;
    const { socket } = this;
    // There is nobody to be told any more; that is heard of as the connection's close.
    if (socket.destroyed || socket.writableEnded) return;
    // Nearly always the system has taken it by now.
    if (socket.writableLength === 0) this.#finish();
    else {
      this.#options.onHeldUp();
      socket.write("", (error) => {
        if (error == null) this.#finish();
      });
    }
  }

  #finish(): void {
    if (this.closed) return;
    this.writableFinished = true;
    this.#close();
    this.#options.onFinished(!this.#closes);
  }

  /** The connection has gone: what is not finished now never is. */
  connectionGone(): void {
    if (!this.closed) this.#close();
  }

  #close(): void {
    this.closed = true;
    const listeners = this.#onClose;
    this.#onClose = [];
    for (const listener of listeners) listener();
  }

  destroy(): void {
    this.socket.destroy();
  }

  on(): void {
    // Errors of the connection end it, and that is heard of as its close.
  }

  once(event: "close" | "drain", listener: () => void): void {
    if (event === "close") this.#onClose = [...this.#onClose, listener];
    else this.socket.once("drain", listener);
  }

  #takeHead(): string {
    const head = this.#head;
    this.#head = "";
    return head;
  }
}

/** What becomes of the connection is said apart from them. */
function headerLines(headers: HeadValues): string {
  let lines = "";
  for (const name in headers) {
    const value = headers[name];
    if (value === undefined || name === "connection") continue;
    if (Array.isArray(value)) for (const one of value) lines += headerLine(name, one);
    else lines += headerLine(name, String(value));
  }
  return lines;
}

function headerLine(name: string, value: string): string {
  if (!goodNames.has(name)) {
    if (!TOKEN.test(name)) throw new TypeError("a header whose name is none");
    if (goodNames.size < MOST_NAMES) goodNames.add(name);
  }
  if (FORBIDDEN.test(value)) throw new TypeError(`the header ${name} has characters that no header has`);
  return `${name}: ${value}\r\n`;
}
