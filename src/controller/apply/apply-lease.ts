import { CortexError } from "../../core/errors.ts";

/**
 * The right to change a fleet, as apply needs it; who hands it out (a lock in git, a lease on the neurons) is not its
 * business. Every change carries the epoch, and a neuron that has obeyed a higher one refuses it, so that an apply that
 * was stalled and lost its lease meanwhile cannot act; `stillHeld` and `lost` spare it the try.
 */
export interface ApplyLease {
  /** Rises with each holder; sent as `Cortex-Epoch`. */
  readonly epoch: number;
  /** Aborts once the lease is known to be lost or could not be renewed in time; the reason is an Error that says why. */
  readonly lost: AbortSignal;
  /** Asked right before each change is sent, and cheap: false once its time to live is over by the holder's own clock. */
  stillHeld(): boolean;
}

/** Throws why the lease is lost, where it is; `lock_lost` unless its holder has a better word. */
export function requireHeld(lease: ApplyLease): void {
  const { lost } = lease;
  if (lost.aborted && lost.reason instanceof CortexError) throw lost.reason;
  if (lost.aborted || !lease.stillHeld()) {
    throw new CortexError(
      "lock_lost",
      "the lock is lost, or could not be renewed in time: nothing more is sent",
    );
  }
}
