import { createConnection, createServer, type Server, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/** How the way to a neuron behaves. */
export type Manner =
  | "fair"
  /** Whoever comes gets a page of some other machine. */
  | "lying"
  /** Each piece comes late. */
  | "slow"
  /** Connections stand, and nothing comes through. */
  | "hung";

const SLOW_MS = 40;
const PAGE = "<html><body>502 Bad Gateway</body></html>";
const LIE = `HTTP/1.1 502 Bad Gateway\r\ncontent-type: text/html\r\ncontent-length: ${PAGE.length}\r\nconnection: close\r\n\r\n${PAGE}`;

/** A connection that somebody else has a hand in: between the gateways and one neuron. */
export class UnrulyProxy {
  manner: Manner = "fair";
  readonly port: number;
  readonly #server: Server;
  readonly #pairs = new Set<readonly [Socket, Socket]>();
  readonly #resumed: (() => void)[] = [];

  private constructor(server: Server, port: number) {
    this.#server = server;
    this.port = port;
  }

  static async start(port: number, neuronPort: number): Promise<UnrulyProxy> {
    const server = createServer();
    const proxy = new UnrulyProxy(server, port);
    server.on("connection", (client) => {
      proxy.#join(client, createConnection(neuronPort, "127.0.0.1"));
    });
    await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
    return proxy;
  }

  /** Breaks every connection that stands; how many. */
  cut(): number {
    const count = this.#pairs.size;
    for (const pair of this.#pairs) for (const socket of pair) socket.resetAndDestroy();
    return count;
  }

  behave(manner: Manner): void {
    this.manner = manner;
    if (manner !== "hung") for (const resume of this.#resumed.splice(0)) resume();
  }

  async stop(): Promise<void> {
    this.behave("fair");
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #join(client: Socket, neuron: Socket): void {
    const pair = [client, neuron] as const;
    this.#pairs.add(pair);
    const end = () => {
      this.#pairs.delete(pair);
      client.destroy();
      neuron.destroy();
    };
    for (const socket of pair) socket.on("error", end).on("close", end);
    void this.#carry(client, neuron, true);
    void this.#carry(neuron, client, false);
  }

  async #carry(from: Socket, to: Socket, isAsking: boolean): Promise<void> {
    try {
      for await (const piece of from as AsyncIterable<Buffer>) {
        if (this.manner === "hung") await new Promise<void>((resolve) => this.#resumed.push(resolve));
        if (this.manner === "slow") await sleep(SLOW_MS);
        if (this.manner === "lying" && isAsking && piece.subarray(0, 8).toString() === "POST /v1") {
          from.end(LIE);
          return;
        }
        if (to.destroyed) return;
        if (!to.write(piece))
          await new Promise((resolve) => to.once("drain", resolve).once("close", resolve));
      }
      to.end();
    } catch {
      to.destroy();
    }
  }
}
