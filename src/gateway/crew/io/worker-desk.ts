import { toCortexError } from "../../../core/errors.ts";
import type { KeptAnswer } from "../../dialect/contract/answer-shelf.ts";
import type { Reservation, UnderWay, UsageLedger } from "../../keys/usage-ledger.ts";
import type { Place, PlaceOutcome, Scheduling, Standing } from "../../loading/io/scheduler-loop.ts";
import { copyKey, type PlaceAt, type PlaceEnd } from "../../loading/scheduler-state.ts";
import { NO_USAGE } from "../../../protocol/headers/usage-header.ts";
import type { EndOfWait, Order, OwnerQuestion, Told } from "../crew-messages.ts";
import type { PlaceAsked } from "../../loading/place-asked.ts";
import { errorMessage } from "../error-message.ts";
import { replyOf } from "./open-questions.ts";

/** What the owner has that workers use. */
export interface OwnerParts {
  readonly nowMs: () => number;
  readonly scheduling: Pick<Scheduling, "taken" | "wait" | "wish" | "loadsSince">;
  readonly ledger: Pick<UsageLedger, "open" | "charge" | "noteUnderWay">;
  /** Asks a neuron afresh; what it said has been told to all workers when this resolves. */
  readonly refresh: (neuron: string) => Promise<boolean>;
  /** Of the other workers. */
  readonly keptElsewhere: (principal: string, answerId: string) => Promise<readonly KeptAnswer[] | null>;
}

type DeskOrder = Extract<Order<never>, { kind: "wait-placed" | "wait-ended" | "question-answered" }>;

const DESK_KINDS = [
  "place-taken",
  "place-freed",
  "wait-begun",
  "wait-left",
  "residency-wished",
  "usage-counted",
  "under-way-told",
  "owner-asked",
] as const satisfies readonly Told["kind"][];

type DeskTold = Extract<Told, { kind: (typeof DESK_KINDS)[number] }>;

const desk: ReadonlySet<string> = new Set(DESK_KINDS);

/** Whether it is about the requests of the worker, and not about the worker itself. */
export const isForDesk = (told: Told): told is DeskTold => desk.has(told.kind);

interface Wait {
  readonly left: AbortController;
  look: () => Standing | undefined;
  told: Standing | undefined;
}

/**
 * What the owner holds for one worker: the places of its requests, those that wait, and what their keys have reserved.
 * All of it is given back when the worker is lost, and what its requests had cost so far is charged.
 */
export class WorkerDesk {
  readonly #parts: OwnerParts;
  readonly #order: (order: DeskOrder) => void;
  readonly #places = new Map<string, Place[]>();
  readonly #waits = new Map<number, Wait>();
  readonly #reserved = new Map<string, Reservation>();
  #underWay: readonly UnderWay[] = [];
  #isLost = false;

  constructor(parts: OwnerParts, order: (order: DeskOrder) => void) {
    this.#parts = parts;
    this.#order = order;
  }

  take(told: DeskTold): void {
    switch (told.kind) {
      case "place-taken":
        this.#hold(told, this.#parts.scheduling.taken(told.modelId, told.neuron));
        return;
      case "place-freed":
        this.#free(told, told.end);
        return;
      case "wait-begun":
        void this.#wait(told.waiterId, told.asked);
        return;
      case "wait-left":
        this.#waits.get(told.waiterId)?.left.abort();
        return;
      case "residency-wished":
        this.#parts.scheduling.wish(told.modelId, told.keepMs);
        return;
      case "usage-counted":
        this.#reserved.delete(told.used.meterId);
        this.#parts.ledger.charge(told.reservation, told.used);
        return;
      case "under-way-told":
        this.#underWay = told.requests;
        if (told.requests.length > 0) this.#parts.ledger.noteUnderWay(told.requests);
        return;
      case "owner-asked":
        void this.#answer(told.askId, told.question);
    }
  }

  /** Tells requests that wait where they stand now. */
  tellStandings(): void {
    for (const [waiterId, wait] of this.#waits) {
      const at = wait.look();
      if (at === undefined || (at.position === wait.told?.position && at.waiting === wait.told.waiting))
        continue;
      wait.told = at;
      this.#order({ kind: "wait-placed", waiterId, at });
    }
  }

  /** The worker is no more. Returns how many requests it had under way. */
  lost(): number {
    this.#isLost = true;
    for (const { left } of this.#waits.values()) left.abort();
    const places = [...this.#places.values()].flat();
    const requests = places.length + this.#waits.size;
    this.#places.clear();
    for (const place of places) place.free();
    this.#chargeUnderWay();
    return requests;
  }

  /** By what was told of them last, up to a second before. */
  #chargeUnderWay(): void {
    const { ledger, nowMs } = this.#parts;
    const told = new Map(this.#underWay.map((request) => [request.meterId, request]));
    for (const [meterId, { keyId }] of this.#reserved) {
      if (!told.has(meterId)) told.set(meterId, { meterId, keyId, modelId: "", usage: NO_USAGE });
    }
    for (const request of told.values()) {
      const reservation = this.#reserved.get(request.meterId) ?? null;
      ledger.charge(reservation, { ...request, outcome: "cut", nowMs: nowMs() });
    }
    this.#reserved.clear();
    this.#underWay = [];
  }

  #hold({ neuron, modelId }: PlaceAt, place: Place): void {
    const key = copyKey(neuron, modelId);
    const held = this.#places.get(key);
    if (held === undefined) this.#places.set(key, [place]);
    else held.push(place);
  }

  /** Places at one copy are alike. */
  #free({ neuron, modelId }: PlaceAt, end: PlaceEnd): void {
    this.#places.get(copyKey(neuron, modelId))?.pop()?.free(end);
  }

  async #wait(waiterId: number, asked: PlaceAsked): Promise<void> {
    const { scheduling } = this.#parts;
    const left = new AbortController();
    const wait: Wait = { left, look: () => undefined, told: undefined };
    this.#waits.set(waiterId, wait);
    const outcome = await scheduling.wait({ ...asked, signal: left.signal }, (look) => {
      wait.look = look;
      wait.told = look();
      if (wait.told !== undefined) this.#order({ kind: "wait-placed", waiterId, at: wait.told });
    });
    this.#waits.delete(waiterId);
    if (this.#isLost) {
      if (outcome.kind === "granted") outcome.place.free();
      return;
    }
    if (outcome.kind === "granted")
      this.#hold({ neuron: outcome.place.neuron, modelId: asked.modelId }, outcome.place);
    const loads = scheduling.loadsSince(asked.modelId, 0).map((load) => ({ ...load }));
    this.#order({ kind: "wait-ended", waiterId, outcome: endOf(outcome), loads });
  }

  async #answer(askId: number, question: OwnerQuestion): Promise<void> {
    const reply = await replyOf(() => this.#answerTo(question));
    if (!this.#isLost) this.#order({ kind: "question-answered", askId, reply });
  }

  async #answerTo(question: OwnerQuestion): Promise<unknown> {
    const { ledger, refresh, keptElsewhere } = this.#parts;
    if (question.kind === "refresh") return refresh(question.neuron);
    if (question.kind === "kept-answer") return keptElsewhere(question.principal, question.answerId);
    const verdict = await ledger.open(question.opening);
    if (verdict.kind !== "granted") return verdict;
    this.#reserved.set(verdict.reservation.meterId, verdict.reservation);
    if (this.#isLost) this.#chargeUnderWay();
    return verdict;
  }
}

function endOf(outcome: PlaceOutcome): EndOfWait {
  if (outcome.kind === "granted") return { kind: "granted", neuron: outcome.place.neuron };
  if (outcome.kind !== "refused") return outcome;
  return { kind: "refused", error: errorMessage(toCortexError(outcome.error)) };
}
