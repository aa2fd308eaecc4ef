const SECONDS = 10;

/** How much of something comes each second, over the last ten, by counting each second apart. */
export class RequestRate {
  readonly #counts = Array.from({ length: SECONDS }, () => 0);
  #second = 0;

  count(nowMs: number): void {
    this.#moveTo(nowMs);
    this.#counts[this.#second % SECONDS] = (this.#counts[this.#second % SECONDS] ?? 0) + 1;
  }

  perSecond(nowMs: number): number {
    this.#moveTo(nowMs);
    return this.#counts.reduce((sum, count) => sum + count, 0) / SECONDS;
  }

  #moveTo(nowMs: number): void {
    const second = Math.floor(nowMs / 1000);
    const passed = Math.min(SECONDS, second - this.#second);
    for (let back = 0; back < passed; back += 1) this.#counts[(second - back) % SECONDS] = 0;
    this.#second = second;
  }
}

export const gatewayRates = () => ({ rate: new RequestRate(), connectionsRefused: new RequestRate() });
