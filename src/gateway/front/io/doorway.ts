import type { Socket } from "node:net";
import type { Clock } from "../../../core/clock.ts";
import { Roster, type Seat } from "../../../core/roster.ts";
import { DirectConnection, type DirectService } from "./direct-connection.ts";
import type { DirectRequest } from "./direct-request.ts";
import type { DirectResponse } from "./direct-response.ts";

export interface DoorwayDeps {
  readonly clock: Clock;
  readonly isClosing: () => boolean;
  /** False: it is not one that is served in front, and nothing has been done. */
  readonly serve: (request: DirectRequest, response: DirectResponse) => boolean;
}

type LeaveToNode = (socket: Socket) => void;

/** As Node's server has it. */
const IDLE_MS = 75_000;
const KEEP_ALIVE_LINE = `Connection: keep-alive\r\nKeep-Alive: timeout=${IDLE_MS / 1000}\r\n`;
/** Who has said nothing for so long is left to Node's server, which gives whoever says nothing a while and then says so. */
const SILENT_MS = 5000;
const LOOK_EVERY_MS = 2500;

/**
 * Where connections come in: each is looked at here first, and those that ask for something else than the plain kind of
 * request for a model go on to Node's HTTP server, which has all that HTTP can be.
 */
export class Doorway {
  readonly #deps: DoorwayDeps;
  readonly #connections = new Roster<DirectConnection>();
  readonly #seats = new Map<DirectConnection, Seat<DirectConnection>>();
  /** One for all connections of a server. */
  #service: DirectService | null = null;
  #stopLooking: (() => void) | null = null;
  #dateLine = "";
  #dateLineUntilMs = 0;
  #isClosed = false;

  constructor(deps: DoorwayDeps) {
    this.#deps = deps;
  }

  enter(socket: Socket, leaveToNode: LeaveToNode): void {
    // Nobody would look after it here.
    if (this.#isClosed) {
      leaveToNode(socket);
      return;
    }
    if (this.#service?.leaveToNode !== leaveToNode) this.#service = this.#serviceOf(leaveToNode);
    const connection = new DirectConnection(socket, this.#service);
    this.#seats.set(connection, this.#connections.add(connection));
    this.#lookLater();
  }

  #serviceOf(leaveToNode: LeaveToNode): DirectService {
    const { clock, isClosing, serve } = this.#deps;
    return {
      dateLine: this.#date,
      keepAliveLine: KEEP_ALIVE_LINE,
      isClosing: () => this.#isClosed || isClosing(),
      nowMs: () => clock.monotonicMs(),
      alarm: (durationMs, ring) => clock.alarm(durationMs, ring),
      serve,
      leaveToNode,
      isGone: this.#isGone,
    };
  }

  /** Ends what waits for a request; what is answered ends with its answer. */
  close(): void {
    this.#isClosed = true;
    this.#stopLooking?.();
    this.#stopLooking = null;
    this.#connections.forEach((connection) => {
      connection.endIfIdle();
    });
  }

  readonly #isGone = (connection: DirectConnection): void => {
    const seat = this.#seats.get(connection);
    if (seat === undefined) return;
    this.#seats.delete(connection);
    this.#connections.remove(seat);
  };

  /** Made once a second: it says no more. */
  readonly #date = (): string => {
    const nowMs = this.#deps.clock.nowMs();
    if (nowMs >= this.#dateLineUntilMs || nowMs < this.#dateLineUntilMs - 1000) {
      this.#dateLine = `Date: ${new Date(nowMs).toUTCString()}\r\n`;
      this.#dateLineUntilMs = nowMs - (nowMs % 1000) + 1000;
    }
    return this.#dateLine;
  };

  #lookLater(): void {
    if (this.#stopLooking !== null || this.#connections.size === 0 || this.#isClosed) return;
    const { clock } = this.#deps;
    this.#stopLooking = clock.alarm(LOOK_EVERY_MS, () => {
      this.#stopLooking = null;
      const nowMs = clock.monotonicMs();
      this.#connections.forEach((connection) => {
        const waits = connection.waitingMs(nowMs);
        if (waits === null) return;
        if (waits.isProven && waits.ms >= IDLE_MS) connection.endIfIdle();
        else if (!waits.isProven && waits.ms >= SILENT_MS) connection.leaveToNode();
      });
      this.#lookLater();
    });
  }
}
