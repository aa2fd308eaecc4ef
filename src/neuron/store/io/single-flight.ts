import { CortexError } from "../../../core/errors.ts";

interface Flight<Value, News> {
  readonly done: Promise<Value>;
  readonly abort: AbortController;
  readonly listeners: Set<(news: News) => void>;
  latest: News | undefined;
  waiters: number;
}

export interface Waiting<News> {
  readonly signal: AbortSignal;
  readonly onProgress?: ((news: News) => void) | undefined;
}

/**
 * One piece of work for everybody who wants the same. A waiter that leaves takes only itself away; the work ends
 * with the last one.
 */
export class SingleFlight<Value, News> {
  readonly #flights = new Map<string, Flight<Value, News>>();

  async join(
    key: string,
    waiting: Waiting<News>,
    work: (signal: AbortSignal, tell: (news: News) => void) => Promise<Value>,
  ): Promise<Value> {
    waiting.signal.throwIfAborted();
    for (
      let last = this.#flights.get(key);
      last?.abort.signal.aborted === true;
      last = this.#flights.get(key)
    ) {
      // Called off and not landed yet: the next one must not meet it at work on the same file.
      await last.done.catch(() => undefined);
      waiting.signal.throwIfAborted();
    }
    return this.#wait(this.#flights.get(key) ?? this.#start(key, work), waiting);
  }

  /** Ends everything; resolves when nothing is at work any more. */
  async close(): Promise<void> {
    const flights = [...this.#flights.values()];
    for (const { abort } of flights) abort.abort(new CortexError("interrupted", "the neuron stops"));
    await Promise.allSettled(flights.map(({ done }) => done));
  }

  #start(
    key: string,
    work: (signal: AbortSignal, tell: (news: News) => void) => Promise<Value>,
  ): Flight<Value, News> {
    const abort = new AbortController();
    const listeners = new Set<(news: News) => void>();
    const tell = (news: News): void => {
      flight.latest = news;
      for (const listener of listeners) listener(news);
    };
    const done = Promise.resolve()
      .then(() => work(abort.signal, tell))
      .finally(() => {
        this.#flights.delete(key);
      });
    // Whoever waits is told; when nobody waits any more, nobody is left to be told.
    done.catch(() => undefined);
    const flight: Flight<Value, News> = { done, abort, listeners, latest: undefined, waiters: 0 };
    this.#flights.set(key, flight);
    return flight;
  }

  async #wait(flight: Flight<Value, News>, { signal, onProgress }: Waiting<News>): Promise<Value> {
    const left = Promise.withResolvers<never>();
    const onAbort = (): void => {
      left.reject(signal.reason);
    };
    signal.addEventListener("abort", onAbort, { once: true });
    if (onProgress !== undefined) {
      flight.listeners.add(onProgress);
      if (flight.latest !== undefined) onProgress(flight.latest);
    }
    flight.waiters += 1;
    try {
      return await Promise.race([flight.done, left.promise]);
    } finally {
      signal.removeEventListener("abort", onAbort);
      if (onProgress !== undefined) flight.listeners.delete(onProgress);
      flight.waiters -= 1;
      if (flight.waiters === 0)
        flight.abort.abort(new CortexError("job_cancelled", "nobody waits for the download any more"));
    }
  }
}
