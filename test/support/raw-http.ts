import { connect, type Socket } from "node:net";

/** How a connection came to its end, and all bytes until then. */
export interface RawAnswer {
  readonly text: string;
  /** `ended`: the other side closed in order; `reset`: it did not; `open`: it was still open when we left. */
  readonly ending: "ended" | "reset" | "open";
}

/** A client of bytes: sees what no library shows, such as how a connection ends. */
export class RawClient {
  readonly socket: Socket;
  text = "";
  #ending: RawAnswer["ending"] = "open";
  readonly #closed: Promise<void>;
  #watchers: (() => void)[] = [];

  constructor(address: string) {
    const { hostname, port } = new URL(address);
    this.socket = connect(Number(port), hostname);
    this.socket.on("data", (bytes: Buffer) => {
      this.text += bytes.toString("latin1");
      this.#changed();
    });
    this.socket.on("end", () => {
      if (this.#ending === "open") this.#ending = "ended";
    });
    this.socket.on("error", () => {
      this.#ending = "reset";
    });
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#closed = promise;
    this.socket.once("close", () => {
      resolve();
      this.#changed();
    });
  }

  send(text: string | Buffer): void {
    this.socket.write(text);
  }

  /** Resolves once the text holds this, or the connection is closed. */
  async until(word: string | RegExp): Promise<void> {
    const holds = () => (typeof word === "string" ? this.text.includes(word) : word.test(this.text));
    while (!holds() && !this.socket.closed) {
      await new Promise<void>((resolve) => this.#watchers.push(resolve));
    }
  }

  /** When the other side has closed. */
  async closed(): Promise<RawAnswer> {
    await this.#closed;
    return { text: this.text, ending: this.#ending };
  }

  leave(): void {
    this.socket.destroy();
  }

  #changed(): void {
    for (const resolve of this.#watchers.splice(0)) resolve();
  }
}

/** A POST of a JSON body, as bytes. */
export function rawPost(
  path: string,
  body: string,
  options: { readonly headers?: readonly string[]; readonly version?: "1.0" | "1.1" } = {},
): string {
  const { headers = [], version = "1.1" } = options;
  return [
    `POST ${path} HTTP/${version}`,
    "host: localhost",
    "content-type: application/json",
    `content-length: ${Buffer.byteLength(body)}`,
    ...headers,
    "",
    body,
  ].join("\r\n");
}
