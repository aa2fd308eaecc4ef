/** Time as a parameter: real in `platform/system-clock.ts`, driven by hand in tests. */
export interface Clock {
  /** Wall clock, milliseconds since the epoch: for timestamps shown to people. */
  nowMs(): number;
  /** Monotonic milliseconds from an arbitrary origin: for durations. */
  monotonicMs(): number;
  /** Resolves after `durationMs`, or rejects with the signal's reason when it aborts first. */
  sleep(durationMs: number, signal?: AbortSignal): Promise<void>;
  /**
   * Rings after `durationMs` unless the returned function is called before: for deadlines of what somebody else does,
   * where nobody waits for the time itself.
   */
  alarm(durationMs: number, ring: () => void): () => void;
}
