import type { AnswerMemory, KeptAnswer } from "../../dialect/contract/answer-shelf.ts";
import { missingAnswer } from "../missing-answer.ts";

/** Finds an answer that another worker keeps, with the turns before it. */
export type FindKept = (principal: string, answerId: string) => Promise<readonly KeptAnswer[] | null>;

/** A request may name items of several answers: as many are looked for. */
const MOST_LOOKED_FOR = 16;

/**
 * Translates a request that may go on from an answer of another worker: what is missing is brought here, where the
 * conversation goes on, and the request is read again. Costs nothing where all is here.
 */
export async function withKeptElsewhere<Translated>(
  translate: () => Promise<Translated>,
  request: {
    readonly body: Uint8Array;
    readonly principal: string;
    readonly memory: AnswerMemory;
    readonly find: FindKept;
  },
): Promise<Translated> {
  const { body, principal, memory, find } = request;
  for (let lookedFor = 0; ; lookedFor += 1) {
    try {
      return await translate();
    } catch (thrown) {
      const answerId = lookedFor < MOST_LOOKED_FOR ? missingAnswer(thrown, body) : null;
      const turns = answerId === null ? null : await find(principal, answerId).catch(() => null);
      if (turns === null) throw thrown;
      for (const turn of turns) memory.keep(turn);
    }
  }
}
