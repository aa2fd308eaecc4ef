import type { ErrorEnvelope } from "../../../protocol/error-envelope.ts";
import type { StreamTranslator } from "../contract/dialect.ts";
import { eventText } from "../contract/event-text.ts";
import { chunkSchema, type CallDelta, type ReadChunk, type ReadUsage } from "../contract/openai-answer.ts";
import {
  callItem,
  incompleteReason,
  messageItem,
  reasoningItem,
  responseObject,
  summaryPart,
  textPart,
  type Asked,
  type Call,
  type ResponseState,
} from "./response-object.ts";

type OpenItem =
  | { readonly kind: "reasoning" | "message"; readonly id: string; text: string }
  | { readonly kind: "call"; readonly id: string; readonly index: number; text: string; readonly call: Call };

type Fields = Readonly<Record<string, unknown>>;

/**
 * One response as OpenAI streams it: `response.created`, `response.in_progress`, its items one after the other, each
 * added, written and done, and one last event that says how it ended. Every event has the next sequence number; an
 * item is closed before the next one is opened, and says all of itself when it is done, since agents act on that alone.
 */
export class ResponseStream implements StreamTranslator {
  readonly #asked: Asked;
  #sequence = 0;
  #started = false;
  #open: OpenItem | null = null;
  /** Items that are done. */
  readonly #output: unknown[] = [];
  #lastCall = -1;
  #reason: string | null = null;
  #usage: ReadUsage | null = null;

  constructor(asked: Asked) {
    this.#asked = asked;
  }

  /** Some clients take no comment for a sign of life, and OpenAI's SDK takes nothing before `response.created`. */
  keepAlive(): string {
    if (!this.#started) return this.#start();
    const { request } = this.#asked;
    // Said many times, and long: not with all that the client knows already.
    const brief = { ...this.#asked, request: { ...request, instructions: null, tools: [] } };
    return this.#event("response.in_progress", {
      response: responseObject(brief, { status: "in_progress", output: [] }),
    });
  }

  chunk(chunk: unknown): string {
    const { choices, usage } = chunkSchema.parse(chunk);
    if (usage != null) this.#usage = usage;
    return [this.#start(), ...choices.map((choice) => this.#choice(choice))].join("");
  }

  done(): string {
    const opening = this.#start();
    const silent = this.#output.length === 0 && this.#open === null ? this.#openText("message") : "";
    const closing = this.#close();
    this.#asked.keep([...this.#output]);
    const status = this.#reason === null ? "completed" : "incomplete";
    const last = this.#response(`response.${status}`, {
      status,
      usage: this.#usage,
      incompleteReason: this.#reason,
    });
    return opening + silent + closing + last;
  }

  /** SDKs raise on `error`, agents read `response.failed`. */
  error({ error }: ErrorEnvelope): string {
    const { message, code, param, type } = error;
    const told = { code: code ?? null, message, param: param ?? null };
    return (
      this.#start() +
      this.#event("error", { ...told, error: { ...error, type } }) +
      this.#response("response.failed", {
        status: "failed",
        usage: this.#usage,
        error: { code: code ?? "server_error", message },
      })
    );
  }

  #event(type: string, fields: Fields): string {
    const text = eventText(type, { type, sequence_number: this.#sequence, ...fields });
    this.#sequence += 1;
    return text;
  }

  #response(type: string, state: Omit<ResponseState, "output">): string {
    return this.#event(type, { response: responseObject(this.#asked, { ...state, output: this.#output }) });
  }

  #start(): string {
    if (this.#started) return "";
    this.#started = true;
    return (
      this.#response("response.created", { status: "in_progress" }) +
      this.#response("response.in_progress", { status: "in_progress" })
    );
  }

  #choice({ delta, finish_reason: finishReason }: ReadChunk["choices"][number]): string {
    const thinking = delta?.reasoning_content ?? "";
    const text = delta?.content ?? "";
    const events = [
      thinking === "" ? "" : this.#write("reasoning", thinking),
      text === "" ? "" : this.#write("message", text),
      ...(delta?.tool_calls ?? []).map((call) => this.#call(call)),
    ];
    this.#reason ??= incompleteReason(finishReason);
    return events.join("");
  }

  #write(kind: "reasoning" | "message", text: string): string {
    const opening = this.#open?.kind === kind ? "" : this.#close() + this.#openText(kind);
    if (this.#open !== null) this.#open.text += text;
    const delta =
      kind === "reasoning"
        ? this.#part("response.reasoning_summary_text.delta", { summary_index: 0, delta: text })
        : this.#part("response.output_text.delta", { content_index: 0, delta: text, logprobs: [] });
    return opening + delta;
  }

  #call({ index, id, function: called }: CallDelta): string {
    const isOpen = this.#open?.kind === "call" && this.#open.index === index;
    const opening = isOpen ? "" : this.#openCall(index, { id, name: called?.name });
    const json = called?.arguments ?? "";
    const open = this.#open;
    if (json === "" || open?.kind !== "call") return opening;
    open.text += json;
    // The text of a custom tool stands inside of JSON: it is said when all of it is there.
    if (open.call.tool.kind === "custom") return opening;
    return opening + this.#part("response.function_call_arguments.delta", { delta: json });
  }

  #openText(kind: "reasoning" | "message"): string {
    const id = this.#newId(kind === "reasoning" ? "rs" : "msg");
    this.#open = { kind, id, text: "" };
    const head = { id, status: "in_progress" } as const;
    if (kind === "reasoning") {
      return (
        this.#added(reasoningItem(head, null, this.#asked)) +
        this.#part("response.reasoning_summary_part.added", { summary_index: 0, part: summaryPart("") })
      );
    }
    return (
      this.#added(messageItem(head, null)) +
      this.#part("response.content_part.added", { content_index: 0, part: textPart("") })
    );
  }

  #openCall(
    index: number,
    called: { readonly id?: string | null | undefined; readonly name?: string | null | undefined },
  ): string {
    if (index <= this.#lastCall || called.name == null) {
      throw new Error(`call ${index} goes on where it is not open`);
    }
    this.#lastCall = index;
    const closing = this.#close();
    const id = this.#newId("fc");
    const callId = called.id ?? this.#newId("call");
    const call = { callId, tool: this.#asked.tools.called(called.name), argumentsText: "" };
    this.#open = { kind: "call", id, index, text: "", call };
    return closing + this.#added(callItem({ id, status: "in_progress" }, call));
  }

  #close(): string {
    const open = this.#open;
    if (open === null) return "";
    const { id, kind, text } = open;
    const head = { id, status: this.#reason === null ? "completed" : "incomplete" } as const;
    if (kind === "call") return this.#closeCall(open, head);
    if (kind === "reasoning") {
      return (
        this.#part("response.reasoning_summary_text.done", { summary_index: 0, text }) +
        this.#part("response.reasoning_summary_part.done", { summary_index: 0, part: summaryPart(text) }) +
        this.#itemDone(reasoningItem(head, text, this.#asked))
      );
    }
    return (
      this.#part("response.output_text.done", { content_index: 0, text, logprobs: [] }) +
      this.#part("response.content_part.done", { content_index: 0, part: textPart(text) }) +
      this.#itemDone(messageItem(head, text))
    );
  }

  #closeCall(
    { text, call }: Extract<OpenItem, { kind: "call" }>,
    head: Parameters<typeof callItem>[0],
  ): string {
    const argumentsText = text === "" ? "{}" : text;
    const item = callItem(head, { ...call, argumentsText });
    if (item.type === "custom_tool_call") {
      return (
        this.#part("response.custom_tool_call_input.delta", { delta: item.input }) +
        this.#part("response.custom_tool_call_input.done", { input: item.input }) +
        this.#itemDone(item)
      );
    }
    const delta = { delta: argumentsText };
    return (
      (text === "" ? this.#part("response.function_call_arguments.delta", delta) : "") +
      this.#part("response.function_call_arguments.done", {
        name: call.tool.name,
        arguments: argumentsText,
      }) +
      this.#itemDone(item)
    );
  }

  #newId(prefix: string): string {
    return `${prefix}_${this.#asked.identity.newId()}`;
  }

  /** An event about the item that is open. */
  #part(type: string, fields: Fields): string {
    return this.#event(type, { item_id: this.#open?.id, output_index: this.#output.length, ...fields });
  }

  #added(item: unknown): string {
    return this.#event("response.output_item.added", { output_index: this.#output.length, item });
  }

  #itemDone(item: unknown): string {
    const event = this.#event("response.output_item.done", { output_index: this.#output.length, item });
    this.#output.push(item);
    this.#open = null;
    return event;
  }
}
