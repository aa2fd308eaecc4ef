import { createHash } from "node:crypto";
import { createClient, ErrorReply } from "@redis/client";
import type { Clock } from "../../../core/clock.ts";
import { CortexError } from "../../../core/errors.ts";
import type { Logger } from "../../../platform/logger.ts";

export interface RedisScript {
  readonly text: string;
  readonly keys: readonly string[];
  readonly arguments: readonly string[];
}

export interface RedisConnection {
  /** Rejects with `ledger_unavailable` where Redis does not answer in time. */
  run(script: RedisScript): Promise<unknown>;
  command(words: readonly string[]): Promise<unknown>;
  close(): Promise<void>;
}

/**
 * A request waits for no longer than this to be let in; a script takes less than a millisecond. A connection that was
 * just lost, as when another server takes over, is waited for so long, too; one that has been away for longer is not.
 */
const ANSWER_WITHIN_MS = 3000;
const PATIENCE_MS = 2500;
/** The gateway starts without Redis after this, and goes on trying. */
const FIRST_CONNECT_MS = 3000;
const CONNECT_WITHIN_MS = 2000;
/** It is heard of every second; a connection on which nothing comes for so long leads nowhere. */
const SILENT_AFTER_MS = 5000;
const LONGEST_RETRY_MS = 2000;

interface ConnectDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Each time the connection stands. */
  readonly onReady: () => void;
}

/** The address without name and password. */
function shownUrl(url: string): string {
  const { protocol, host, pathname } = new URL(url);
  return `${protocol}//${host}${pathname}`;
}

/**
 * Connects, and again whenever the connection is lost. Rejects with `ledger_unusable` where Redis is there and wants
 * nothing of us: a wrong password is not mended by waiting. Where it is not there the gateway starts all the same.
 */
export async function connectRedis(url: string, deps: ConnectDeps): Promise<RedisConnection> {
  const { clock } = deps;
  const address = shownUrl(url);
  const { client, whenReady } = createLoggedClient(url, deps);
  const connected = client.connect().then(
    () => null,
    (thrown: unknown) => asError(thrown),
  );
  const failure = await within(connected, { clock, timeoutMs: FIRST_CONNECT_MS, otherwise: () => null });
  if (failure !== null) {
    throw new CortexError("ledger_unusable", `the ledger ${address} refuses: ${reasonOf(failure)}`, {
      next: "mend `[ledger] url`, or the name and password in CORTEX_LEDGER__URL",
      cause: failure,
    });
  }
  await refuseCluster(client, address);
  const asked = async (work: Promise<unknown>): Promise<unknown> => {
    try {
      return await within(work, { clock, timeoutMs: ANSWER_WITHIN_MS, otherwise: timedOut });
    } catch (thrown) {
      // Where it is, and what is wrong with it, is nothing for clients; the log has it.
      const message = "usage cannot be counted at the moment, and this key's is limited";
      throw new CortexError("ledger_unavailable", message, { cause: thrown });
    }
  };
  const send = async (words: readonly string[]) => {
    if (!client.isReady) await whenReady();
    return client.sendCommand([...words]);
  };
  return {
    run: (script) => asked(evaluate(script, send)),
    command: (words) => asked(send(words)),
    close: () => {
      client.destroy();
      return Promise.resolve();
    },
  };
}

interface AskedOnce {
  readonly isReady: boolean;
  sendCommand(words: string[]): Promise<unknown>;
  destroy(): void;
}

/**
 * A cluster sends most commands elsewhere, and answers what is sent to a server of it by the shares that the server has.
 * One that cannot be asked yet is looked at by nobody: its answers to scripts say the same.
 */
async function refuseCluster(client: AskedOnce, address: string): Promise<void> {
  if (!client.isReady) return;
  // Where the command is forbidden, a user was made for one server with care.
  const told = await client.sendCommand(["INFO", "cluster"]).catch(() => "");
  if (!/^cluster_enabled:1\r?$/m.test(String(told))) return;
  client.destroy();
  throw new CortexError("ledger_unusable", `the ledger ${address} belongs to a Redis Cluster`, {
    next: "name one server, or a pair with a fixed address in front: Redis 6.2 or newer, or Valkey, with cluster-enabled no",
  });
}

/**
 * Says once that an outage begins and once that it is over: the client tries several times a second. `whenReady`
 * rejects at once where it has been away for a while.
 */
function createLoggedClient(url: string, { clock, logger, onReady }: ConnectDeps) {
  const address = shownUrl(url);
  let wasReady = false;
  let isDown = false;
  let downSinceMs = clock.monotonicMs();
  const waiting = new Set<() => void>();
  const client = createClient({
    url,
    name: "cortex-gateway",
    disableOfflineQueue: true,
    socket: {
      connectTimeout: CONNECT_WITHIN_MS,
      socketTimeout: SILENT_AFTER_MS,
      reconnectStrategy: (retries, cause) =>
        cause instanceof ErrorReply && !wasReady ? cause : Math.min(50 * 2 ** retries, LONGEST_RETRY_MS),
    },
  });
  client.on("error", (thrown: unknown) => {
    if (isDown) return;
    isDown = true;
    downSinceMs = clock.monotonicMs();
    logger.error({ ledger: address, reason: reasonOf(thrown) }, "the ledger cannot be reached");
  });
  client.on("ready", () => {
    if (isDown) logger.info({ ledger: address }, "the ledger is back");
    wasReady = true;
    isDown = false;
    for (const resume of waiting) resume();
    waiting.clear();
    onReady();
  });
  // Whoever gave up must not be heard later: a request would be let in that nobody ends.
  const whenReady = async (): Promise<void> => {
    const awayMs = isDown ? clock.monotonicMs() - downSinceMs : 0;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const resume = () => {
      resolve(true);
    };
    waiting.add(resume);
    const cancel = clock.alarm(Math.max(0, PATIENCE_MS - awayMs), () => {
      resolve(false);
    });
    const isBack = await promise;
    cancel();
    waiting.delete(resume);
    if (!isBack) throw new Error("it has been away for a while");
  };
  return { client, whenReady };
}

const digests = new Map<string, string>();

/** By its digest; in full to a Redis that does not know it yet. */
async function evaluate(
  { text, keys, arguments: given }: RedisScript,
  send: (words: readonly string[]) => Promise<unknown>,
): Promise<unknown> {
  const digest = digests.get(text) ?? createHash("sha1").update(text).digest("hex");
  digests.set(text, digest);
  const rest = [String(keys.length), ...keys, ...given];
  try {
    return await send(["EVALSHA", digest, ...rest]);
  } catch (thrown) {
    if (!(thrown instanceof ErrorReply && thrown.message.startsWith("NOSCRIPT"))) throw thrown;
    return send(["EVAL", text, ...rest]);
  }
}

function timedOut(): never {
  throw new Error(`no answer within ${ANSWER_WITHIN_MS} ms`);
}

/** The work, or at the deadline what `otherwise` returns or throws. */
async function within<Value>(
  work: Promise<Value>,
  limit: { readonly clock: Clock; readonly timeoutMs: number; readonly otherwise: () => Value },
): Promise<Value> {
  const { promise: overdue, resolve } = Promise.withResolvers<null>();
  const cancel = limit.clock.alarm(limit.timeoutMs, () => {
    resolve(null);
  });
  const finished = work.then((value) => ({ value }));
  // Nobody listens any more when it fails after the deadline.
  finished.catch(() => undefined);
  try {
    const first = await Promise.race([finished, overdue]);
    return first === null ? limit.otherwise() : first.value;
  } finally {
    cancel();
  }
}

const asError = (thrown: unknown): Error => (thrown instanceof Error ? thrown : new Error(String(thrown)));

/** Errors of connections have their reason in their code, and several addresses one error each. */
function reasonOf(thrown: unknown): string {
  if (thrown instanceof AggregateError) return thrown.errors.map(reasonOf).join("; ");
  return asError(thrown).message;
}
