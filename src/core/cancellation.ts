/**
 * Says once that something is to stop, and why. An AbortController without its event target: nearly every request ends
 * uncancelled, and would make one and throw it away.
 */
export class Cancellation {
  #isCancelled = false;
  #reason: unknown;
  #onCancel: (() => void)[] = NOBODY;
  #controller: AbortController | null = null;

  get isCancelled(): boolean {
    return this.#isCancelled;
  }

  /** Undefined before. */
  get reason(): unknown {
    return this.#reason;
  }

  /** Only the first word counts. */
  cancel(reason: unknown): void {
    if (this.#isCancelled) return;
    this.#isCancelled = true;
    this.#reason = reason;
    const told = this.#onCancel;
    this.#onCancel = NOBODY;
    for (const listener of told) listener();
    this.#controller?.abort(reason);
  }

  /** Told at most once, and not of what is past; until `forget`. */
  listen(listener: () => void): void {
    this.#onCancel = [...this.#onCancel, listener];
  }

  forget(listener: () => void): void {
    if (this.#onCancel.length > 0) this.#onCancel = this.#onCancel.filter((known) => known !== listener);
  }

  /** The same for those who understand nothing else; made when it is first asked for. */
  get signal(): AbortSignal {
    if (this.#controller === null) {
      this.#controller = new AbortController();
      if (this.#isCancelled) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }
}

const NOBODY: (() => void)[] = [];
