import { isRecord, parseJson } from "../../core/json.ts";
import { createJsonObjectScanner, type JsonObjectScanner } from "./json-object-scanner.ts";
import type { TokenLogprob } from "../engine/inference-engine.ts";
import { prefixAtEnd } from "./stop-sequences.ts";

/**
 * Finds tool calls in the Hermes form, `<tool_call>{"name": "f", "arguments": {...}}</tool_call>`, in text that
 * arrives in pieces, and streams the arguments while they are written.
 *
 * Four phases: text, until an opening mark; head, until the name and the start of the arguments are read;
 * arguments, until their JSON object closes; tail, until the closing mark. A call whose arguments come before its
 * name, or are not an object, is read as a whole when its closing mark comes. What turns out not to be a call is
 * shown as the text it is, so nothing that the model wrote is lost; arguments that break off in their middle end
 * where they broke. White space next to a call belongs to the call. The cuts never change the result.
 */
export type ToolStreamEvent =
  /** Text outside of any call, or what looked like a call and was none. */
  | {
      readonly kind: "text-written";
      readonly text: string;
      /** The tokens of the text, for requests that ask for their likelihood. */
      readonly logprobs?: readonly WrittenLogprob[];
    }
  /** The name of a call is known and its arguments begin. */
  | { readonly kind: "call-opened"; readonly index: number; readonly name: string }
  /** The next piece of the JSON of a call's arguments. */
  | { readonly kind: "call-written"; readonly index: number; readonly text: string }
  /** The arguments of a call are complete, or broke off and nothing more comes. */
  | { readonly kind: "call-closed"; readonly index: number };

/** A token with the text that it added to the answer. */
export interface WrittenLogprob extends TokenLogprob {
  readonly written: string;
}

export interface ToolCallStream {
  push(text: string): readonly ToolStreamEvent[];
  /** Flushes what was held back; a half-read head comes out as text. */
  end(): readonly ToolStreamEvent[];
  /** True from an opening mark to the closing one. */
  readonly insideCall: boolean;
  /** What has been read since the opening mark of the call being read. */
  readonly callText: string;
}

export const TOOL_CALL_OPEN = "<tool_call>";
export const TOOL_CALL_CLOSE = "</tool_call>";

const HEAD = /^\s*\{\s*"name"\s*:\s*("(?:[^"\\]|\\.)*")\s*,\s*"(?:arguments|parameters)"\s*:\s*(?=\{)/;
const TAIL = /^\s*\}\s*<\/tool_call>/;
/** Every proper prefix of a tail. */
const TAIL_SO_FAR = /^\s*(?:\}\s*)?$/;

type Phase = "text" | "head" | "arguments" | "tail";

class HermesStream implements ToolCallStream {
  #phase: Phase = "text";
  #held = "";
  #callText = "";
  /** White space before the opening mark; shown when the call turns out to be text. */
  #gap = "";
  #callCount = 0;
  #scanner: JsonObjectScanner = createJsonObjectScanner();
  #events: ToolStreamEvent[] = [];

  get insideCall(): boolean {
    return this.#phase !== "text";
  }

  get callText(): string {
    return this.#callText;
  }

  push(text: string): readonly ToolStreamEvent[] {
    this.#held += text;
    if (this.#phase !== "text") this.#callText += text;
    return this.#run();
  }

  end(): readonly ToolStreamEvent[] {
    const rest = this.#held;
    const phase = this.#phase;
    this.#held = "";
    this.#phase = "text";
    if (phase === "head") this.#text(this.#gap + TOOL_CALL_OPEN + rest);
    // White space after a call is the call's; without one it is part of the answer.
    if (phase === "text" && (this.#callCount === 0 || rest.trim() !== "")) this.#text(rest);
    return this.#take();
  }

  #run(): readonly ToolStreamEvent[] {
    while (this.#step());
    return this.#take();
  }

  #take(): readonly ToolStreamEvent[] {
    const events = this.#events;
    this.#events = [];
    return events;
  }

  #text(text: string): void {
    if (text !== "") this.#events.push({ kind: "text-written", text });
  }

  /** Consumes what it can; false when more input is needed. */
  #step(): boolean {
    if (this.#phase === "text") return this.#stepText();
    if (this.#phase === "head") return this.#stepHead();
    return this.#phase === "arguments" ? this.#stepArguments() : this.#stepTail();
  }

  #stepText(): boolean {
    const at = this.#held.indexOf(TOOL_CALL_OPEN);
    if (at >= 0) {
      const before = this.#held.slice(0, at);
      const shown = before.trimEnd();
      this.#text(shown);
      this.#gap = before.slice(shown.length);
      this.#held = this.#held.slice(at + TOOL_CALL_OPEN.length);
      this.#callText = this.#held;
      this.#phase = "head";
      return true;
    }
    const safe = this.#held.slice(0, this.#held.length - prefixAtEnd(this.#held, TOOL_CALL_OPEN)).trimEnd();
    this.#text(safe);
    this.#held = this.#held.slice(safe.length);
    return false;
  }

  #stepHead(): boolean {
    const head = HEAD.exec(this.#held);
    const name = head === null ? undefined : parseJson(head[1] ?? "");
    if (head !== null && typeof name === "string" && name !== "") {
      this.#events.push({ kind: "call-opened", index: this.#callCount, name });
      this.#held = this.#held.slice(head[0].length);
      this.#scanner = createJsonObjectScanner();
      this.#phase = "arguments";
      return true;
    }
    const closeAt = this.#held.indexOf(TOOL_CALL_CLOSE);
    if (closeAt < 0) return false;
    const body = this.#held.slice(0, closeAt);
    this.#held = this.#held.slice(closeAt + TOOL_CALL_CLOSE.length);
    this.#phase = "text";
    this.#wholeCall(body);
    return true;
  }

  #wholeCall(body: string): void {
    const call = readWholeCall(body);
    if (call === undefined) {
      this.#text(this.#gap + TOOL_CALL_OPEN + body + TOOL_CALL_CLOSE);
      return;
    }
    const index = this.#callCount;
    this.#events.push({ kind: "call-opened", index, name: call.name });
    this.#events.push({ kind: "call-written", index, text: call.arguments });
    this.#closeCall();
  }

  #closeCall(): void {
    this.#events.push({ kind: "call-closed", index: this.#callCount });
    this.#callCount += 1;
  }

  #stepArguments(): boolean {
    let read = 0;
    let state: ReturnType<JsonObjectScanner["push"]> = "more";
    while (read < this.#held.length && state === "more") {
      state = this.#scanner.push(this.#held.charAt(read));
      read += 1;
    }
    // The character that broke the JSON is no part of the arguments.
    if (state === "invalid") read -= 1;
    if (read > 0) {
      const text = this.#held.slice(0, read);
      this.#events.push({ kind: "call-written", index: this.#callCount, text });
    }
    this.#held = this.#held.slice(read);
    if (state === "more") return false;
    this.#closeCall();
    this.#phase = state === "done" ? "tail" : "text";
    return true;
  }

  #stepTail(): boolean {
    const tail = TAIL.exec(this.#held);
    if (tail !== null) {
      this.#held = this.#held.slice(tail[0].length);
      this.#phase = "text";
      return true;
    }
    const mark = /^\s*\}\s*/.exec(this.#held);
    const afterBrace = mark === null ? undefined : this.#held.slice(mark[0].length);
    const possible =
      TAIL_SO_FAR.test(this.#held) || (afterBrace !== undefined && TOOL_CALL_CLOSE.startsWith(afterBrace));
    if (possible) return false;
    this.#phase = "text";
    return true;
  }
}

function readWholeCall(body: string): { readonly name: string; readonly arguments: string } | undefined {
  const parsed = parseJson(body);
  if (!isRecord(parsed)) return undefined;
  const name = parsed["name"];
  if (typeof name !== "string" || name === "") return undefined;
  const given = parsed["arguments"] ?? parsed["parameters"] ?? {};
  return { name, arguments: typeof given === "string" ? given : JSON.stringify(given) };
}

export const createToolCallStream = (): ToolCallStream => new HermesStream();
