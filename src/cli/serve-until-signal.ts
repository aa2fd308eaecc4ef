import { CortexError } from "../core/errors.ts";
import { readEnvironment } from "../platform/environment.ts";
import { createServiceManager, sendBySystemdNotify } from "../platform/service-manager.ts";
import { listenForShutdown } from "../platform/shutdown.ts";
import { systemClock } from "../platform/system-clock.ts";

interface Service {
  close(): Promise<void>;
  /** Ends the process and leaves what it holds to the next one; asked for by SIGUSR2. */
  handOver?(): Promise<void>;
}

/** After a second signal: for the error to be written. */
const LAST_WORDS_MS = 100;

const HAND_OVER = "SIGUSR2";

/**
 * Runs a service until SIGINT or SIGTERM, then closes it in order; a second signal ends the wait at once, with a
 * failure, because what was cut short did not end well. `start` gets a signal that aborts when the end is asked
 * for before it is up. A service that can hand over does so at SIGUSR2, where `handsOver` says it. With `once` the service is closed as soon as it has started.
 */
export async function serveUntilSignal(
  start: (signal: AbortSignal) => Promise<Service>,
  options: { readonly once?: boolean; readonly handsOver?: boolean } = {},
): Promise<void> {
  const shutdown = listenForShutdown(options.handsOver === true ? [HAND_OVER] : []);
  const manager = createServiceManager(readEnvironment().supervision, {
    clock: systemClock,
    send: sendBySystemdNotify((line) => process.stderr.write(`${line}\n`)),
  });
  try {
    const service = await start(shutdown.first).catch((thrown: unknown) => {
      if (!shutdown.first.aborted) throw thrown;
      throw new CortexError("interrupted", "stopped before it was up", { cause: thrown });
    });
    manager.ready();
    const asked = options.once === true ? "SIGTERM" : await shutdown.requested;
    manager.stopping();
    const forced = new Promise<never>((_resolve, reject) => {
      shutdown.second.addEventListener("abort", () => {
        reject(new CortexError("interrupted", "stopped before everything had ended"));
        // What is still closing holds the process for as long as it may take: only its last words are waited for.
        systemClock.alarm(LAST_WORDS_MS, () => process.exit());
      });
    });
    const end = asked === HAND_OVER ? service.handOver?.() : service.close();
    await Promise.race([end, forced]);
  } finally {
    shutdown.dispose();
  }
}
