import { setImmediate as nextTurn } from "node:timers/promises";

const LIMIT_MS = 15_000;

/** Repeats an assertion, as fast as the event loop turns, until it holds; its last failure is thrown after 15 s. */
export async function eventually(assertion: () => void | Promise<void>): Promise<void> {
  const deadlineMs = performance.now() + LIMIT_MS;
  for (;;) {
    try {
      await assertion();
      return;
    } catch (thrown) {
      if (performance.now() > deadlineMs) throw thrown;
      await nextTurn();
    }
  }
}
