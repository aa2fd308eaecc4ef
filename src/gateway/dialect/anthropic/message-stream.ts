import type { ErrorEnvelope } from "../../../protocol/error-envelope.ts";
import type { StreamTranslator } from "../contract/dialect.ts";
import { eventText } from "../contract/event-text.ts";
import { chunkSchema, type CallDelta, type ReadChunk, type ReadUsage } from "../contract/openai-answer.ts";
import { anthropicError } from "./anthropic-error.ts";
import { messageUsage, SIGNATURE, stopOf, type MessageIdentity, type Stop } from "./message.ts";

type Block =
  | { readonly kind: "thinking" | "text" }
  | { readonly kind: "tool_use"; readonly call: number; wroteArguments: boolean };

/**
 * One message as Anthropic streams it: `message_start` once, blocks one after the other with indices that count up,
 * `message_delta` with stop reason and usage, `message_stop`. A block is closed before the next one is opened, and
 * whatever is open at the end is closed there.
 */
export class MessageStream implements StreamTranslator {
  readonly #identity: MessageIdentity;
  readonly #promptTokens: () => number | null;
  #started = false;
  #open: Block | null = null;
  #index = -1;
  #stop: Stop = stopOf(null, null);
  #usage: ReadUsage | null = null;

  constructor(identity: MessageIdentity, promptTokens: () => number | null) {
    this.#identity = identity;
    this.#promptTokens = promptTokens;
  }

  keepAlive(): string {
    return PING;
  }

  error(envelope: ErrorEnvelope, status: number): string {
    return eventText("error", anthropicError(envelope, status));
  }

  chunk(chunk: unknown): string {
    const { choices, usage } = chunkSchema.parse(chunk);
    if (usage != null) this.#usage = usage;
    const events = [this.#start(), ...choices.map((choice) => this.#choice(choice))];
    return events.join("");
  }

  done(): string {
    const usage = this.#usage ?? { prompt_tokens: this.#promptTokens() ?? 0, completion_tokens: 0 };
    return [
      this.#start(),
      this.#close(),
      eventText("message_delta", { type: "message_delta", delta: this.#stop, usage: messageUsage(usage) }),
      eventText("message_stop", { type: "message_stop" }),
    ].join("");
  }

  #start(): string {
    if (this.#started) return "";
    this.#started = true;
    const { id, model } = this.#identity;
    const usage = messageUsage({ prompt_tokens: this.#promptTokens() ?? 0, completion_tokens: 0 });
    const stop = { stop_reason: null, stop_sequence: null };
    const message = { id, type: "message", role: "assistant", model, content: [], ...stop, usage };
    return eventText("message_start", { type: "message_start", message });
  }

  #choice({
    delta,
    finish_reason: finishReason,
    stop_reason: stopText,
  }: ReadChunk["choices"][number]): string {
    const thinking = delta?.reasoning_content ?? "";
    const text = delta?.content ?? "";
    const events = [
      thinking === "" ? "" : this.#write("thinking", { type: "thinking_delta", thinking }),
      text === "" ? "" : this.#write("text", { type: "text_delta", text }),
      ...(delta?.tool_calls ?? []).map((call) => this.#call(call)),
    ];
    if (finishReason != null) this.#stop = stopOf(finishReason, stopText);
    return events.join("");
  }

  #write(kind: "thinking" | "text", delta: unknown): string {
    const opening = this.#open?.kind === kind ? "" : this.#begin({ kind }, EMPTY[kind]);
    return opening + this.#delta(delta);
  }

  #call({ index, id, function: called }: CallDelta): string {
    const isOpen = this.#open?.kind === "tool_use" && this.#open.call === index;
    const block = { type: "tool_use", id: id ?? "", name: called?.name ?? "", input: {} };
    const opening = isOpen
      ? ""
      : this.#begin({ kind: "tool_use", call: index, wroteArguments: false }, block);
    const json = called?.arguments ?? "";
    if (json === "") return opening;
    if (this.#open?.kind === "tool_use") this.#open.wroteArguments = true;
    return opening + this.#delta({ type: "input_json_delta", partial_json: json });
  }

  #begin(block: Block, content: unknown): string {
    const closing = this.#close();
    this.#open = block;
    this.#index += 1;
    return (
      closing +
      eventText("content_block_start", {
        type: "content_block_start",
        index: this.#index,
        content_block: content,
      })
    );
  }

  #delta(delta: unknown): string {
    return eventText("content_block_delta", { type: "content_block_delta", index: this.#index, delta });
  }

  #close(): string {
    const open = this.#open;
    if (open === null) return "";
    this.#open = null;
    const last =
      open.kind === "thinking"
        ? this.#delta({ type: "signature_delta", signature: SIGNATURE })
        : open.kind === "tool_use" && !open.wroteArguments
          ? this.#delta({ type: "input_json_delta", partial_json: "{}" })
          : "";
    return last + eventText("content_block_stop", { type: "content_block_stop", index: this.#index });
  }
}

const PING = eventText("ping", { type: "ping" });

const EMPTY = {
  thinking: { type: "thinking", thinking: "", signature: "" },
  text: { type: "text", text: "" },
} as const;
