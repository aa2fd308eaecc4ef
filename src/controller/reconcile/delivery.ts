/** What is sent to somebody who wants to know: the address and headers may be secrets, and are never told. */
export interface Delivery {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** What is answered to it, as far as it tells what to do. */
export interface DeliveryAnswer {
  readonly status: number;
  readonly retryAfter: string | undefined;
  /** The beginning of the body. */
  readonly text: string;
}

export type DeliveryVerdict =
  | { readonly kind: "delivered" }
  /** It may be taken later; `afterMs` where the receiver says when. */
  | { readonly kind: "again"; readonly afterMs: number | undefined }
  /** It will not be taken however often it is sent. */
  | { readonly kind: "refused" };

export const MOST_ATTEMPTS = 6;
const FIRST_PAUSE_MS = 2000;
const PAUSE_FACTOR = 3;
const LONGEST_PAUSE_MS = 300_000;

export function judgeDelivery({ status, retryAfter, text }: DeliveryAnswer): DeliveryVerdict {
  if (status >= 200 && status < 300) return { kind: "delivered" };
  // GitLab takes a status once, and calls the same one again an impossible transition.
  if (status === 400 && text.includes("Cannot transition status")) return { kind: "delivered" };
  if (status === 408 || status === 425 || status === 429 || status >= 500)
    return { kind: "again", afterMs: secondsIn(retryAfter) };
  return { kind: "refused" };
}

function secondsIn(retryAfter: string | undefined): number | undefined {
  if (retryAfter === undefined || !/^\d{1,6}$/.test(retryAfter)) return undefined;
  return Math.min(Number(retryAfter) * 1000, LONGEST_PAUSE_MS);
}

/** Before the next attempt, after so many. */
export const pauseBefore = (attempts: number): number =>
  Math.min(FIRST_PAUSE_MS * PAUSE_FACTOR ** (attempts - 1), LONGEST_PAUSE_MS);
