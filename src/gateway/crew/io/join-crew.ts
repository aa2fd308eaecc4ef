import { Socket } from "node:net";
import type { Beginning, ConnectionGiven, Order, ToldBatch } from "../crew-messages.ts";

/** `elsewhere`: how many connections other workers have open. One that has broken on its way comes without a socket. */
type TakeConnection = (
  given: { readonly id: number; readonly elsewhere: number },
  socket: Socket | null,
) => void;

/** A worker's place in the crew of its owner. */
export interface CrewPlace<Config> {
  readonly beginning: Beginning<Config>;
  send(batch: ToldBatch): void;
  /** Orders that came meanwhile come first. */
  onOrders(take: (order: Order<Config>) => void): void;
  /** What clients have connected; each has to be said to be taken. */
  onConnections(take: TakeConnection): void;
  /** The owner has gone, without a word. */
  onLost(end: () => void): void;
  /** The last thing that a worker does. */
  leave(): void;
}

function send(batch: ToldBatch): void {
  if (process.connected) process.send?.(batch, undefined, {}, () => undefined);
}

/** Nobody listens yet: the owner gives none before it is told. */
const refuseConnection: TakeConnection = (_given, socket) => {
  socket?.destroy();
};

/**
 * Reports to the owner and resolves when it has said what to serve. Signals are the owner's business: those of a
 * terminal reach all processes at once, and a worker that followed them would leave before its owner says so.
 */
export async function joinCrew<Config>(): Promise<CrewPlace<Config>> {
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP", "SIGUSR2"] as const) process.on(name, () => undefined);
  const { promise, resolve } = Promise.withResolvers<Beginning<Config>>();
  let waiting: Order<Config>[] | null = [];
  let take = (order: Order<Config>): void => {
    if (order.kind === "worker-placed") resolve(order);
    else waiting?.push(order);
  };
  let isLost = false;
  let onLost = (): void => {
    isLost = true;
  };
  let onConnection = refuseConnection;
  process.on("message", (message: readonly Order<Config>[] | ConnectionGiven, socket: unknown) => {
    if ("connection" in message) {
      const { connection: id, elsewhere } = message;
      onConnection({ id, elsewhere }, socket instanceof Socket ? socket : null);
    } else for (const order of message) take(order);
  });
  process.on("disconnect", () => {
    onLost();
  });
  send({ number: 0, told: [{ kind: "worker-begun" }] });
  const beginning = await promise;
  return {
    beginning,
    send,
    onOrders: (listener) => {
      take = listener;
      for (const order of waiting ?? []) listener(order);
      waiting = null;
    },
    onConnections: (listener) => {
      onConnection = listener;
    },
    onLost: (end) => {
      onLost = end;
      if (isLost) end();
    },
    leave: () => {
      onLost = () => undefined;
      if (process.connected) process.disconnect();
    },
  };
}
