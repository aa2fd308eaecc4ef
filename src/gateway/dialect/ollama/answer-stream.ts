import { z } from "zod";
import type { ErrorEnvelope } from "../../../protocol/error-envelope.ts";
import type { StreamTranslator } from "../contract/dialect.ts";
import {
  chunkSchema,
  timingsSchema,
  usageSchema,
  type CallDelta,
  type ReadChunk,
} from "../contract/openai-answer.ts";
import {
  endFields,
  headFields,
  NOTHING_SAID,
  readCalls,
  type AnswerHead,
  type Ending,
  type Said,
  type Shape,
} from "./answer.ts";
import { errorLine, line } from "./line.ts";

const chatChunkSchema = chunkSchema.extend({ timings: timingsSchema });
const textChunkSchema = z.looseObject({
  choices: z
    .array(z.looseObject({ text: z.string().nullish(), finish_reason: z.string().nullish() }))
    .default([]),
  usage: usageSchema.nullish(),
  timings: timingsSchema,
});

interface GrowingCall {
  readonly index: number;
  id: string;
  name: string;
  json: string;
}

/** What both kinds of streams are: lines that say something, then one that says how it ended. */
abstract class LineStream implements StreamTranslator {
  readonly #head: AnswerHead;
  readonly #shape: Shape;
  readonly #promptTokens: () => number | null;
  #ending: Ending = { finishReason: null, usage: null, timings: null };

  constructor(head: AnswerHead, shape: Shape, promptTokens: () => number | null) {
    this.#head = head;
    this.#shape = shape;
    this.#promptTokens = promptTokens;
  }

  /** A line without content: a blank one is no JSON, and clients stumble over it. */
  keepAlive(): string {
    return this.say(NOTHING_SAID);
  }

  abstract chunk(chunk: unknown): string;

  done(): string {
    const { usage } = this.#ending;
    const told = usage ?? { prompt_tokens: this.#promptTokens() ?? 0, completion_tokens: 0 };
    return line({
      ...headFields(this.#head),
      ...this.#shape(NOTHING_SAID),
      ...endFields(this.#head, { ...this.#ending, usage: told }),
    });
  }

  error(envelope: ErrorEnvelope): string {
    return errorLine(envelope);
  }

  protected say(said: Said): string {
    return line({ ...headFields(this.#head), ...this.#shape(said), done: false });
  }

  protected note({ finishReason, usage, timings }: Partial<Ending>): void {
    this.#ending = {
      finishReason: finishReason ?? this.#ending.finishReason,
      usage: usage ?? this.#ending.usage,
      timings: timings ?? this.#ending.timings,
    };
  }

  protected get finishReason(): string | null {
    return this.#ending.finishReason;
  }
}

/** A call is said when it is whole: clients of the dialect do not put pieces of arguments together. */
export class ChatLines extends LineStream {
  #call: GrowingCall | null = null;

  chunk(chunk: unknown): string {
    const { choices, usage = null, timings } = chatChunkSchema.parse(chunk);
    this.note({ usage, timings });
    return choices.map((choice) => this.#choice(choice)).join("");
  }

  override done(): string {
    return this.#endCall() + super.done();
  }

  #choice({ delta, finish_reason: finishReason }: ReadChunk["choices"][number]): string {
    const text = delta?.content ?? "";
    const thinking = delta?.reasoning_content ?? "";
    const said = text === "" && thinking === "" ? "" : this.say({ text, thinking, calls: [] });
    const before = said === "" ? "" : this.#endCall();
    const calls = (delta?.tool_calls ?? []).map((call) => this.#grow(call));
    this.note({ finishReason: finishReason ?? null });
    return [before, said, ...calls].join("");
  }

  #grow({ index, id, function: called }: CallDelta): string {
    const isNew = this.#call?.index !== index;
    const ended = isNew ? this.#endCall() : "";
    const call = (this.#call ??= { index, id: "", name: "", json: "" });
    call.id ||= id ?? "";
    call.name ||= called?.name ?? "";
    call.json += called?.arguments ?? "";
    return ended;
  }

  #endCall(): string {
    const call = this.#call;
    this.#call = null;
    if (call === null) return "";
    const calls = readCalls([call], this.finishReason);
    return calls.length === 0 ? "" : this.say({ ...NOTHING_SAID, calls });
  }
}

/** Of `/v1/completions`, which raw prompts go to. */
export class TextLines extends LineStream {
  chunk(chunk: unknown): string {
    const { choices, usage = null, timings } = textChunkSchema.parse(chunk);
    this.note({ usage, timings });
    return choices
      .map(({ text, finish_reason: finishReason }) => {
        this.note({ finishReason: finishReason ?? null });
        return text == null || text === "" ? "" : this.say({ ...NOTHING_SAID, text });
      })
      .join("");
  }
}
