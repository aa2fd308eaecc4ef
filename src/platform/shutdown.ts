/** SIGINT and SIGTERM as values: the first asks for an orderly end, the second for an end now. */
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

export function listenForShutdown(): ShutdownSignals {
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
  for (const name of HANDLED) process.on(name, onSignal);
  return {
    first: first.signal,
    second: second.signal,
    requested,
    dispose: () => {
      for (const name of HANDLED) process.off(name, onSignal);
    },
  };
}
