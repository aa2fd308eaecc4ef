import { randomBytes } from "node:crypto";
import { Roster } from "../../core/roster.ts";
import type { TokenUsage } from "../../protocol/headers/usage-header.ts";
import type { UnderWay, UsageLedger } from "../keys/usage-ledger.ts";
import type { Look } from "./ticker.ts";

interface OpenRequest {
  readonly meterId: string;
  readonly keyId: string;
  /** Its model is known once it has been routed. */
  readonly trace: { readonly modelId: string | undefined };
  readonly usageSoFar: () => TokenUsage;
}

/** The requests that are being metered: what the ledger is told of them, so that a crash does not make them free. */
export class UnderWayRequests {
  readonly #open = new Roster<OpenRequest>();
  /** Of this process: ids of two gateways, or of one before and after a restart, never meet. */
  readonly #prefix = randomBytes(9).toString("base64url");
  #count = 0;

  constructor(ledger: Pick<UsageLedger, "noteUnderWay">, watch: (look: Look) => () => void) {
    watch(() => {
      ledger.noteUnderWay(this.#list());
    });
  }

  nextId(): string {
    this.#count += 1;
    return `${this.#prefix}.${this.#count.toString(36)}`;
  }

  /** Until the returned function is called. */
  begin(request: OpenRequest): () => void {
    const seat = this.#open.add(request);
    return () => {
      this.#open.remove(seat);
    };
  }

  #list(): readonly UnderWay[] {
    const list: UnderWay[] = [];
    this.#open.forEach(({ meterId, keyId, trace, usageSoFar }) => {
      if (trace.modelId !== undefined)
        list.push({ meterId, keyId, modelId: trace.modelId, usage: usageSoFar() });
    });
    return list;
  }
}
