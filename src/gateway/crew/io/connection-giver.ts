import { createServer, type Server, type Socket } from "node:net";
import { toCortexError } from "../../../core/errors.ts";
import { fromListenError } from "../../../platform/http-server.ts";
import { present } from "../../../core/present.ts";
import type { Told } from "../crew-messages.ts";

/** Gives an accepted connection away; the socket here stays open until it is closed here. */
export type GiveConnection = (
  worker: number,
  given: { readonly id: number; readonly elsewhere: number; readonly socket: Socket },
) => void;

interface Given {
  readonly socket: Socket;
  readonly worker: number;
}

type DoorTold = Extract<Told, { kind: "connection-taken" | "connection-closed" }>;

export const isForDoor = (told: Told): told is DoorTold =>
  told.kind === "connection-taken" || told.kind === "connection-closed";

interface Held {
  /** Given to it, and not taken yet. */
  untaken: number;
  /** All that are open. */
  readonly open: Set<number>;
}

/**
 * The owner's door: accepts every connection and gives it to the worker that was given the fewest which it has not taken
 * yet, in turn among equals. A connection is kept until its worker has said that it has it: what a worker that dies had not
 * taken goes to another one, and its client notices nothing.
 */
export class ConnectionGiver {
  readonly #give: GiveConnection;
  readonly #server: Server;
  readonly #workers = new Map<number, Held>();
  readonly #given = new Map<number, Given>();
  /** Accepted while there was no worker. */
  #waiting: Socket[] = [];
  #lastId = 0;
  #lastWorker = 0;

  constructor(give: GiveConnection) {
    this.#give = give;
    // Not a byte is read here.
    this.#server = createServer({ pauseOnConnect: true }, (socket) => {
      socket.on("error", () => undefined);
      this.#pass(socket);
    });
  }

  /** Resolves with the port. Rejects with `address_in_use` and the like. */
  listen(address: { readonly host: string; readonly port: number }): Promise<number> {
    const host = address.host.replace(/^\[|\]$/g, "");
    return new Promise((resolve, reject) => {
      this.#server.once("error", (thrown) => {
        reject(toCortexError(fromListenError(thrown, address)));
      });
      this.#server.listen({ host, port: address.port, backlog: BACKLOG }, () => {
        const bound = this.#server.address();
        resolve(present(typeof bound === "object" ? bound?.port : undefined, "the bound port"));
      });
    });
  }

  /** It takes connections from now on. */
  add(worker: number): void {
    this.#workers.set(worker, { untaken: 0, open: new Set() });
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const socket of waiting) this.#pass(socket);
  }

  /** It takes none any more. */
  remove(worker: number): void {
    this.#workers.delete(worker);
    for (const [id, given] of this.#given) {
      if (given.worker !== worker) continue;
      this.#given.delete(id);
      this.#pass(given.socket);
    }
  }

  heard(worker: number, { kind, id }: DoorTold): void {
    if (kind === "connection-taken") this.#taken(id);
    else this.#workers.get(worker)?.open.delete(id);
  }

  /** The worker has it: here it is closed, which its client does not see. */
  #taken(id: number): void {
    const given = this.#given.get(id);
    if (given === undefined) return;
    this.#given.delete(id);
    const held = this.#workers.get(given.worker);
    if (held !== undefined) held.untaken -= 1;
    given.socket.destroy();
  }

  close(): void {
    this.#server.close();
    for (const socket of [...this.#waiting, ...[...this.#given.values()].map((given) => given.socket)]) {
      socket.destroy();
    }
  }

  #pass(socket: Socket): void {
    if (socket.destroyed) return;
    const worker = this.#next();
    const held = worker === undefined ? undefined : this.#workers.get(worker);
    if (worker === undefined || held === undefined) {
      this.#waiting.push(socket);
      return;
    }
    this.#lastId += 1;
    this.#lastWorker = worker;
    const others = [...this.#workers.values()].filter((other) => other !== held);
    const elsewhere = others.reduce((sum, { open }) => sum + open.size, 0);
    held.untaken += 1;
    held.open.add(this.#lastId);
    this.#given.set(this.#lastId, { socket, worker });
    this.#give(worker, { id: this.#lastId, elsewhere, socket });
  }

  #next(): number | undefined {
    const inTurn = [...this.#workers].toSorted(
      ([one], [other]) => Number(one <= this.#lastWorker) - Number(other <= this.#lastWorker) || one - other,
    );
    const fewest = Math.min(...inTurn.map(([, { untaken }]) => untaken));
    return inTurn.find(([, { untaken }]) => untaken === fewest)?.[0];
  }
}

/** Connections that the system holds while the owner is busy. */
const BACKLOG = 1024;
