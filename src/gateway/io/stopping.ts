/** Says once that the gateway stops, to whoever asks and to whoever has something to end. */
export interface Stopping {
  /** True once close() was called: new requests are refused while old ones end. */
  readonly closing: () => boolean;
  /** Called as soon as the gateway is told to stop. */
  readonly onStop: (end: () => void) => void;
  readonly refuseNewWork: () => void;
}

export function createStopping(): Stopping {
  let closing = false;
  const ends: (() => void)[] = [];
  return {
    closing: () => closing,
    onStop: (end) => {
      ends.push(end);
    },
    refuseNewWork: () => {
      closing = true;
      for (const end of ends.splice(0)) end();
    },
  };
}
