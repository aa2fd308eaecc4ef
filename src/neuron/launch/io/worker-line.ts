import { Pool } from "undici";
import type { Clock } from "../../../core/clock.ts";
import { WirePool } from "../../../protocol/wire/io/wire-pool.ts";

/** How a worker is spoken to, at its socket. */
export interface WorkerLine {
  /** For what is said about it. */
  readonly http: Pool;
  /** For requests to its model. */
  readonly wire: WirePool;
  /** Cuts what is still open. */
  close(): Promise<void>;
}

/** Connects to nothing until something is said. There are no timeouts, because a long prefill is silent. */
export function openWorkerLine(socketPath: string, clock: Clock): WorkerLine {
  const http = new Pool("http://worker", { socketPath, headersTimeout: 0, bodyTimeout: 0 });
  const wire = new WirePool(new URL("http://worker"), { clock, socketPath });
  return {
    http,
    wire,
    close: async () => {
      await Promise.all([http.destroy(), wire.destroy()]);
    },
  };
}
