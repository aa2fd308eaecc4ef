import { systemErrorCode } from "../core/errors.ts";

/** SIGINT and SIGTERM, and others where they are named, as values: the first asks for an orderly end, the second for an end now. */
export interface ShutdownSignals {
  /** Aborts at the first signal. */
  readonly first: AbortSignal;
  /** Aborts at the second signal. */
  readonly second: AbortSignal;
  /** Resolves at the first signal. */
  readonly requested: Promise<NodeJS.Signals>;
  /** Gives the signals back to the process. */
  dispose(): void;
}

const HANDLED: readonly NodeJS.Signals[] = ["SIGINT", "SIGTERM"];

/** `also`: other signals that ask for an end of some kind. */
export function listenForShutdown(also: readonly NodeJS.Signals[] = []): ShutdownSignals {
  const handled = [...HANDLED, ...also];
  const first = new AbortController();
  const second = new AbortController();
  const { promise: requested, resolve } = Promise.withResolvers<NodeJS.Signals>();
  const onSignal = (name: NodeJS.Signals) => {
    if (first.signal.aborted) {
      second.abort(new Error(`${name} again`));
      return;
    }
    first.abort(new Error(name));
    resolve(name);
  };
  for (const name of handled) process.on(name, onSignal);
  return {
    first: first.signal,
    second: second.signal,
    requested,
    dispose: () => {
      for (const name of handled) process.off(name, onSignal);
    },
  };
}

/** SIGHUP, which would end the process, as a request to read its files anew. Returns how to give it back. */
export function onHangup(listener: () => void): () => void {
  process.on("SIGHUP", listener);
  return () => {
    process.off("SIGHUP", listener);
  };
}

/** A reader of our output that goes away (`| head`) is no reason to fail, and for a service none to end. */
export function outliveReaders(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", (thrown) => {
      if (systemErrorCode(thrown) !== "EPIPE") throw thrown;
    });
  }
}
