import { CortexError } from "../core/errors.ts";
import { listenForShutdown } from "../platform/shutdown.ts";

interface Service {
  close(): Promise<void>;
}

/**
 * Runs a service until SIGINT or SIGTERM, then closes it in order; a second signal ends the wait at once, with a
 * failure, because what was cut short did not end well.
 */
export async function serveUntilSignal(start: () => Promise<Service>): Promise<void> {
  const shutdown = listenForShutdown();
  try {
    const service = await start();
    await shutdown.requested;
    const forced = new Promise<never>((_resolve, reject) => {
      shutdown.second.addEventListener("abort", () => {
        reject(new CortexError("interrupted", "stopped before everything had ended"));
      });
    });
    await Promise.race([service.close(), forced]);
  } finally {
    shutdown.dispose();
  }
}
