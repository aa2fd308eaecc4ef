import { prefixAtEnd } from "./stop-sequences.ts";

/**
 * Splits an answer that opens with `<think> ... </think>` into reasoning and text, whatever the cuts. Only the
 * block at the start counts: later marks are the model's own text. White space around the marks is theirs.
 */
type ReasoningPiece =
  /** The model wrote inside the block. */
  | { readonly kind: "reasoning-written"; readonly text: string }
  /** The model wrote outside of it. */
  | { readonly kind: "text-written"; readonly text: string };

export interface ReasoningStream {
  /** True while what is pushed is reasoning. */
  readonly inside: boolean;
  push(text: string): readonly ReasoningPiece[];
  end(): readonly ReasoningPiece[];
}

const OPEN = "<think>";
const CLOSE = "</think>";

type Phase = "opening" | "skip_before" | "inside" | "skip_after" | "text";

class ThinkStream implements ReasoningStream {
  #phase: Phase;
  #held = "";

  constructor(startsInside: boolean) {
    this.#phase = startsInside ? "skip_before" : "opening";
  }

  get inside(): boolean {
    return this.#phase === "inside" || this.#phase === "skip_before";
  }

  push(text: string): readonly ReasoningPiece[] {
    this.#held += text;
    const pieces: ReasoningPiece[] = [];
    while (this.#step(pieces));
    return pieces;
  }

  end(): readonly ReasoningPiece[] {
    const rest = this.#held;
    this.#held = "";
    if (rest === "" || this.#phase === "skip_before" || this.#phase === "skip_after") return [];
    return [{ kind: this.#phase === "inside" ? "reasoning-written" : "text-written", text: rest }];
  }

  /** Consumes what it can; false when more input is needed. */
  #step(pieces: ReasoningPiece[]): boolean {
    if (this.#phase === "opening") return this.#stepOpening();
    if (this.#phase === "inside") return this.#stepInside(pieces);
    if (this.#phase === "text") {
      if (this.#held !== "") pieces.push({ kind: "text-written", text: this.#held });
      this.#held = "";
      return false;
    }
    this.#held = this.#held.trimStart();
    if (this.#held === "") return false;
    this.#phase = this.#phase === "skip_before" ? "inside" : "text";
    return true;
  }

  #stepOpening(): boolean {
    const body = this.#held.trimStart();
    if (body.startsWith(OPEN)) {
      this.#held = body.slice(OPEN.length);
      this.#phase = "skip_before";
      return true;
    }
    if (OPEN.startsWith(body)) return false;
    this.#phase = "text";
    return true;
  }

  #stepInside(pieces: ReasoningPiece[]): boolean {
    const closeAt = this.#held.indexOf(CLOSE);
    const safeEnd = closeAt < 0 ? this.#held.length - prefixAtEnd(this.#held, CLOSE) : closeAt;
    const reasoning = this.#held.slice(0, safeEnd).trimEnd();
    if (reasoning !== "") pieces.push({ kind: "reasoning-written", text: reasoning });
    if (closeAt < 0) {
      this.#held = this.#held.slice(reasoning.length);
      return false;
    }
    this.#held = this.#held.slice(closeAt + CLOSE.length);
    this.#phase = "skip_after";
    return true;
  }
}

/** `startsInside` when the prompt itself opened the block. */
export const createReasoningStream = (startsInside: boolean): ReasoningStream =>
  new ThinkStream(startsInside);
