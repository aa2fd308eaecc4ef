import type { Clock } from "../../core/clock.ts";
import { toCortexError } from "../../core/errors.ts";
import type { Logger } from "../../platform/logger.ts";
import { authorityDirectory } from "../places.ts";
import type { RunningAuthority } from "./authority-server.ts";
import { hasAuthority } from "./has-certificate.ts";
import { repeat } from "./repeat.ts";

interface AnsweringDeps {
  readonly clock: Clock;
  readonly logger: Logger;
}

const RETRY_MS = 3000;

/**
 * Answers for the authority of a data directory as long as it runs: from now on, from when it is made, or from when the
 * `cortex neuron invite` that answered until now has ended.
 */
export function keepAnswering(dataDirectory: string, deps: AnsweringDeps): { close(): Promise<void> } {
  const { clock, logger } = deps;
  let running: RunningAuthority | null = null;
  let told = "";
  const attempts = repeat({ clock, everyMs: RETRY_MS }, async () => {
    try {
      running = await begin(dataDirectory, deps);
    } catch (thrown) {
      const { code, message } = toCortexError(thrown);
      if (told !== message) logger.warn({ code, reason: message }, "nobody joins or renews here for now");
      told = message;
    }
    return running === null ? "again" : "done";
  });
  return {
    close: async () => {
      await attempts.stop();
      await running?.close();
    },
  };
}

async function begin(
  dataDirectory: string,
  { clock, logger }: AnsweringDeps,
): Promise<RunningAuthority | null> {
  if (!(await hasAuthority(dataDirectory))) return null;
  const [{ Authority }, { startAuthorityServer }] = await Promise.all([
    import("./authority.ts"),
    import("./authority-server.ts"),
  ]);
  const authority = await Authority.open(authorityDirectory(dataDirectory), clock);
  if (authority === null) return null;
  const running = await startAuthorityServer(authority, { clock, logger });
  logger.info({ ...running.address }, "machines join and renew here");
  return running;
}
