import type {
  CountedRequest,
  Opening,
  Reservation,
  UnderWay,
  UsageLedger,
  Verdict,
} from "../../keys/usage-ledger.ts";
import type { OwnerLink } from "./owner-link.ts";

/**
 * The ledger as a worker has it. Limits hold over all workers and exactly, since the owner grants each request of a
 * limited key; what was used is told without waiting.
 */
export class OwnedLedger implements Pick<UsageLedger, "open" | "charge" | "noteUnderWay"> {
  readonly #link: OwnerLink;
  #toldNone = true;

  constructor(link: OwnerLink) {
    this.#link = link;
  }

  async open(opening: Opening): Promise<Verdict> {
    return this.#link.ask({ kind: "reserve", opening });
  }

  charge(reservation: Reservation | null, used: CountedRequest): void {
    this.#link.tell({ kind: "usage-counted", reservation, used });
  }

  noteUnderWay(requests: readonly UnderWay[]): void {
    if (requests.length === 0 && this.#toldNone) return;
    this.#toldNone = requests.length === 0;
    this.#link.tell({ kind: "under-way-told", requests });
  }
}
