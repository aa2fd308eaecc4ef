import type { Clock } from "../../../core/clock.ts";
import type { OwnerAnswers, OwnerQuestion, Reply, Told, ToldBatch } from "../crew-messages.ts";
import { MessageBatches } from "./message-batches.ts";
import { OpenQuestions } from "./open-questions.ts";

/** A worker's end of what connects it with its owner. */
export class OwnerLink {
  readonly #batches: MessageBatches<Told>;
  readonly #questions = new OpenQuestions();
  #lastBatch = 0;

  /** `onSent`: told of each batch by its number, before it leaves. */
  constructor(
    clock: Pick<Clock, "alarm">,
    {
      send,
      onSent,
    }: { readonly send: (batch: ToldBatch) => void; readonly onSent?: (number: number) => void },
  ) {
    this.#batches = new MessageBatches(clock, (told) => {
      this.#lastBatch += 1;
      onSent?.(this.#lastBatch);
      send({ number: this.#lastBatch, told });
    });
  }

  /** What nobody waits for. */
  tell(told: Told): void {
    this.#batches.add(told);
  }

  tellNow(told: Told): void {
    this.#batches.addUrgent(told);
  }

  flush(): void {
    this.#batches.flush();
  }

  /** Rejects with the owner's error, and once it has gone. */
  ask<Question extends OwnerQuestion>(question: Question): Promise<OwnerAnswers[Question["kind"]]> {
    return this.#questions.ask((askId) => {
      this.tellNow({ kind: "owner-asked", askId, question });
    });
  }

  answered(askId: number, reply: Reply): void {
    this.#questions.answered(askId, reply);
  }

  ownerLost(): void {
    this.#questions.abandon();
  }
}
