import { toCortexError } from "../../../core/errors.ts";

/** A state that changes, and who is told after each change. */
export interface Changing<State> {
  readonly state: () => State;
  readonly listeners: Set<() => void>;
}

/** What `look` first finds in a state, now or after a change; rejects with what it throws, or with the signal's reason. */
export async function awaitState<State, Found>(
  { state, listeners }: Changing<State>,
  look: (state: State) => Found | undefined,
  signal?: AbortSignal,
): Promise<Found> {
  const found = look(state());
  if (found !== undefined) return found;
  return new Promise((resolve, reject) => {
    const finish = (answer: () => void) => {
      listeners.delete(onChange);
      signal?.removeEventListener("abort", onAbort);
      answer();
    };
    const onAbort = () => {
      finish(() => {
        reject(signal?.reason instanceof Error ? signal.reason : new Error("no longer waited for"));
      });
    };
    const onChange = () => {
      try {
        const later = look(state());
        if (later === undefined) return;
        finish(() => {
          resolve(later);
        });
      } catch (thrown) {
        finish(() => {
          reject(toCortexError(thrown));
        });
      }
    };
    listeners.add(onChange);
    if (signal?.aborted === true) onAbort();
    else signal?.addEventListener("abort", onAbort);
  });
}
