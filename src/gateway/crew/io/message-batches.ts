import type { Clock } from "../../../core/clock.ts";

/** How long a message waits for others, where nobody waits for it. */
const GATHERED_MS = 2;

/**
 * Messages of one moment leave together: a message by itself costs each process 2 to 3 us, one among sixteen half of one
 * (bench/gateway/between-processes.ts).
 */
export class MessageBatches<Message> {
  readonly #clock: Pick<Clock, "alarm">;
  readonly #send: (messages: readonly Message[]) => void;
  #gathered: Message[] = [];
  #cancelAlarm: (() => void) | null = null;
  #isDue = false;

  constructor(clock: Pick<Clock, "alarm">, send: (messages: readonly Message[]) => void) {
    this.#clock = clock;
    this.#send = send;
  }

  /** Leaves within two milliseconds. */
  add(message: Message): void {
    this.#gathered.push(message);
    this.#cancelAlarm ??= this.#clock.alarm(GATHERED_MS, () => {
      this.flush();
    });
  }

  /** Leaves with this turn of the event loop, and takes with it what waits. */
  addUrgent(message: Message): void {
    this.#gathered.push(message);
    if (this.#isDue) return;
    this.#isDue = true;
    setImmediate(() => {
      this.#isDue = false;
      this.flush();
    });
  }

  flush(): void {
    this.#cancelAlarm?.();
    this.#cancelAlarm = null;
    if (this.#gathered.length === 0) return;
    const messages = this.#gathered;
    this.#gathered = [];
    this.#send(messages);
  }
}
