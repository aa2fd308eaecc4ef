import { CortexError } from "../core/errors.ts";
import { listenForShutdown } from "../platform/shutdown.ts";

interface Service {
  close(): Promise<void>;
}

/**
 * Runs a service until SIGINT or SIGTERM, then closes it in order; a second signal ends the wait at once, with a
 * failure, because what was cut short did not end well. `start` gets a signal that aborts when the end is asked
 * for before it is up. With `once` the service is closed as soon as it has started.
 */
export async function serveUntilSignal(
  start: (signal: AbortSignal) => Promise<Service>,
  options: { readonly once?: boolean } = {},
): Promise<void> {
  const shutdown = listenForShutdown();
  try {
    const service = await start(shutdown.first).catch((thrown: unknown) => {
      if (!shutdown.first.aborted) throw thrown;
      throw new CortexError("interrupted", "stopped before it was up", { cause: thrown });
    });
    if (options.once !== true) await shutdown.requested;
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
