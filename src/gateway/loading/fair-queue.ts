import type { ModelQueue, Waiter } from "./scheduler-state.ts";

/**
 * Fair queueing by virtual time: each principal gets its tags one apart, so that one with a hundred requests waits
 * for its hundredth and not the others for theirs. Virtual time passes with every grant, so newcomers cannot overtake
 * for ever: who waits is reached after as many grants as there are principals before its tag.
 */
export const EMPTY_QUEUE: ModelQueue = { waiters: [], virtualTime: 0, lastTags: new Map() };

export function enqueue(queue: ModelQueue, arriving: Omit<Waiter, "startTag">): ModelQueue {
  const last = queue.lastTags.get(arriving.principal);
  const startTag = last === undefined ? queue.virtualTime : Math.max(queue.virtualTime, last + 1);
  return {
    ...queue,
    waiters: [...queue.waiters, { ...arriving, startTag }],
    lastTags: new Map(queue.lastTags).set(arriving.principal, startTag),
  };
}

/** Who is next, and who after that: by tag, then by arrival. */
export const inOrder = ({ waiters }: ModelQueue): readonly Waiter[] =>
  waiters.length < 2 ? waiters : waiters.toSorted((left, right) => left.startTag - right.startTag);

/** Without a waiter that has its place. */
export function withGranted(queue: ModelQueue, granted: Waiter): ModelQueue {
  const principals = new Set(queue.waiters.map(({ principal }) => principal)).size;
  const virtualTime = Math.max(queue.virtualTime + 1 / Math.max(1, principals), granted.startTag);
  return { ...withoutWaiter(queue, granted.id), virtualTime };
}

/** Without a waiter that got nothing: its tag is not given a second time. */
export function withoutWaiter(queue: ModelQueue, waiterId: string): ModelQueue {
  const waiters = queue.waiters.filter(({ id }) => id !== waiterId);
  if (waiters.length === 0) return EMPTY_QUEUE;
  const waiting = new Set(waiters.map(({ principal }) => principal));
  const lastTags = new Map([...queue.lastTags].filter(([principal]) => waiting.has(principal)));
  return { ...queue, waiters, lastTags };
}
