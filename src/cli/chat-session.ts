import { createInterface, type Interface } from "node:readline";
import { Writable } from "node:stream";
import { assertNever } from "../core/assert-never.ts";
import type { Clock } from "../core/clock.ts";
import { toCortexError } from "../core/errors.ts";
import { AnswerTally, type AnswerPiece } from "./chat/answer-tally.ts";
import { helpText, readChatLine, type ChatLine } from "./chat/chat-line.ts";
import {
  beforeLastQuestion,
  messagesOf,
  resultText,
  withAnswer,
  withQuestion,
  type ChatResult,
  type Conversation,
  type SaidMessage,
} from "./chat/conversation.ts";
import { printable } from "./chat/printable.ts";
import { paint, type Paint } from "./print/paint.ts";
import { printError } from "./print/print-error.ts";

/** Where answers come from. */
export interface ChatSource {
  /** Ends by throwing the signal's reason when that aborts. */
  readonly ask: (
    question: { readonly model: string; readonly messages: readonly SaidMessage[] },
    signal: AbortSignal,
  ) => AsyncIterable<AnswerPiece>;
  /** Ids of the models that are offered. */
  readonly models: () => Promise<readonly string[]>;
}

export interface AnswerOptions {
  readonly source: ChatSource;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Told of each piece as it comes. */
  readonly onPiece: (piece: AnswerPiece) => void;
}

/** One answer, to its end or until it is stopped. Throws what else it failed of. */
export async function takeAnswer(conversation: Conversation, options: AnswerOptions): Promise<ChatResult> {
  const { source, clock, signal, onPiece } = options;
  const { model } = conversation;
  const tally = new AnswerTally(model, clock.monotonicMs());
  try {
    for await (const piece of source.ask({ model, messages: messagesOf(conversation) }, signal)) {
      tally.add(piece, clock.monotonicMs());
      onPiece(piece);
    }
  } catch (thrown) {
    if (!signal.aborted) throw thrown;
  }
  return tally.end(clock.monotonicMs(), signal.aborted);
}

export interface ChatSessionOptions {
  readonly source: ChatSource;
  readonly conversation: Conversation;
  readonly input: NodeJS.ReadableStream;
  readonly output: NodeJS.WritableStream & { readonly columns?: number };
  readonly look: { readonly colour: boolean; readonly unicode: boolean };
  /** For the first line. */
  readonly address: string;
  readonly clock: Clock;
}

const CLEAR_LINE = "\r\u001B[K";

/**
 * A conversation with somebody at a terminal. Ctrl-C stops an answer, which frees its slot; at the prompt the first one says
 * that the second leaves.
 */
export class ChatSession {
  readonly #options: ChatSessionOptions;
  readonly #reader: Interface;
  #conversation: Conversation;
  #isEchoing = true;
  #answering: AbortController | undefined;
  #isWarned = false;
  #isWaitingShown = false;
  readonly #lines: (string | null)[] = [];
  #wake: () => void = () => undefined;

  constructor(options: ChatSessionOptions) {
    this.#options = options;
    this.#conversation = options.conversation;
    this.#reader = createInterface({
      input: options.input,
      // What is typed while an answer comes must not get into it.
      output: mutable(options.output, () => this.#isEchoing),
      terminal: true,
      prompt: paint("> ", "bold", options.look.colour),
    });
  }

  /** Until the user leaves. */
  async run(): Promise<void> {
    const reader = this.#reader;
    reader.on("line", (line) => this.#take(line));
    reader.on("close", () => this.#take(null));
    reader.on("SIGINT", () => {
      this.#interrupt();
    });
    this.#say(`${this.#conversation.model} at ${this.#options.address}`, "bold");
    this.#say("/help lists commands; Ctrl-C stops an answer, Ctrl-D leaves", "dim");
    for (;;) {
      const line = await this.#nextLine();
      if (line === null) break;
      this.#isWarned = false;
      const read = readChatLine(line);
      if (read.kind === "quit") break;
      await this.#obey(read);
    }
    reader.close();
  }

  #take(line: string | null): void {
    this.#lines.push(line);
    this.#wake();
  }

  /** Lines that end in a backslash go on in the next; null once there will be none. */
  async #nextLine(): Promise<string | null> {
    let text = "";
    for (;;) {
      if (this.#lines.length === 0) this.#reader.prompt();
      while (this.#lines.length === 0) await new Promise<void>((resolve) => (this.#wake = resolve));
      const line = this.#lines.shift() ?? null;
      if (line === null) return null;
      if (!line.endsWith("\\")) return text + line;
      text += `${line.slice(0, -1)}\n`;
    }
  }

  #interrupt(): void {
    if (this.#answering !== undefined) {
      this.#answering.abort(new Error("stopped"));
      return;
    }
    if (this.#isWarned) {
      this.#write("\n");
      this.#take(null);
      return;
    }
    this.#isWarned = true;
    // What stands on the line is thrown away, as a shell does.
    this.#reader.write(null, { ctrl: true, name: "e" });
    this.#reader.write(null, { ctrl: true, name: "u" });
    this.#say("\nCtrl-C again leaves", "dim");
    this.#reader.prompt();
  }

  async #obey(line: ChatLine): Promise<void> {
    switch (line.kind) {
      case "empty":
      case "quit":
        break;
      case "question":
        await this.#ask(withQuestion(this.#conversation, line.text));
        break;
      case "help":
        this.#say(helpText());
        break;
      case "models":
        await this.#listModels();
        break;
      case "model":
        await this.#choose(line.id);
        break;
      case "system":
        this.#setSystem(line.text);
        break;
      case "clear":
        this.#conversation = { ...this.#conversation, said: [] };
        this.#say("forgotten", "dim");
        break;
      case "retry":
        await this.#retry();
        break;
      case "unknown": {
        const hint = line.meant === undefined ? "/help lists the commands" : `did you mean ${line.meant}?`;
        this.#say(`no command ${line.name}; ${hint}`, "yellow");
        break;
      }
      default:
        assertNever(line);
    }
  }

  async #ask(asked: Conversation): Promise<void> {
    const { source, clock, look } = this.#options;
    const stop = new AbortController();
    this.#answering = stop;
    this.#isEchoing = false;
    const writer = new PieceWriter((text) => this.#write(text), look.colour);
    try {
      const result = await takeAnswer(asked, {
        source,
        clock,
        signal: stop.signal,
        onPiece: (piece) => this.#showPiece(piece, writer),
      });
      this.#hideWaiting();
      writer.end();
      this.#conversation = withAnswer(asked, result.answer);
      this.#isWarned = stop.signal.aborted;
      this.#say(`${resultText(result)}${stop.signal.aborted ? "; Ctrl-C again leaves" : ""}\n`, "dim");
    } catch (thrown) {
      this.#hideWaiting();
      writer.end();
      this.#say(printError(toCortexError(thrown), { colour: look.colour }));
    } finally {
      this.#answering = undefined;
      this.#isEchoing = true;
    }
  }

  #showPiece(piece: AnswerPiece, writer: PieceWriter): void {
    if (piece.kind === "waiting") {
      const { colour } = this.#options.look;
      const width = (this.#options.output.columns ?? 80) - 1;
      this.#write(`${CLEAR_LINE}${paint(printable(piece.text).slice(0, width), "dim", colour)}`);
      this.#isWaitingShown = true;
      return;
    }
    this.#hideWaiting();
    writer.show(piece);
  }

  #hideWaiting(): void {
    if (this.#isWaitingShown) this.#write(CLEAR_LINE);
    this.#isWaitingShown = false;
  }

  async #listModels(): Promise<void> {
    try {
      const ids = await this.#options.source.models();
      const { model } = this.#conversation;
      this.#say(ids.map((id) => `${id === model ? "* " : "  "}${id}`).join("\n"));
    } catch (thrown) {
      this.#say(printError(toCortexError(thrown), this.#options.look));
    }
  }

  async #choose(id: string | null): Promise<void> {
    const ids = await this.#options.source.models().catch(() => null);
    if (id === null) {
      this.#say(this.#conversation.model);
      return;
    }
    if (ids !== null && !ids.includes(id)) {
      this.#say(`no model ${id} is offered; /models lists them`, "yellow");
      return;
    }
    this.#conversation = { ...this.#conversation, model: id };
    this.#say(`${id} answers from now on`, "dim");
  }

  #setSystem(text: string | null): void {
    const { system } = this.#conversation;
    if (text === null) {
      this.#say(system ?? "no system prompt", system === null ? "dim" : undefined);
      return;
    }
    this.#conversation = { ...this.#conversation, system: text === "none" ? null : text };
    this.#say(text === "none" ? "no system prompt from now on" : "taken, from the next question on", "dim");
  }

  async #retry(): Promise<void> {
    const before = beforeLastQuestion(this.#conversation);
    if (before === null) this.#say("nothing was asked yet", "yellow");
    else await this.#ask(withQuestion(before.conversation, before.question));
  }

  #say(text: string, style?: Paint): void {
    const { colour } = this.#options.look;
    this.#write(`${style === undefined ? text : paint(text, style, colour)}\n`);
  }

  #write(text: string): void {
    this.#options.output.write(text);
  }
}

/** Writes an answer as it comes: thoughts dim, and a blank line between them and the answer. */
class PieceWriter {
  readonly #write: (text: string) => void;
  readonly #colour: boolean;
  #last: "nothing" | "reasoning" | "text" = "nothing";
  #isAtLineStart = true;

  constructor(write: (text: string) => void, colour: boolean) {
    this.#write = write;
    this.#colour = colour;
  }

  show(piece: AnswerPiece): void {
    if (piece.kind !== "text" && piece.kind !== "reasoning") return;
    const text = printable(piece.text);
    if (text === "") return;
    if (this.#last === "reasoning" && piece.kind === "text") this.#write("\n\n");
    this.#last = piece.kind;
    this.#isAtLineStart = text.endsWith("\n");
    this.#write(piece.kind === "reasoning" ? paint(text, "dim", this.#colour) : text);
  }

  /** The next thing stands on a line of its own. */
  end(): void {
    if (!this.#isAtLineStart) this.#write("\n");
  }
}

function mutable(output: ChatSessionOptions["output"], isOpen: () => boolean): Writable {
  const stream = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      if (isOpen()) output.write(chunk);
      done();
    },
  });
  // readline wraps long lines by these.
  Object.defineProperty(stream, "columns", { get: () => output.columns });
  return stream;
}
