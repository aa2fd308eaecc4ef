import { CortexError } from "../../../core/errors.ts";
import { given } from "../contract/read-request.ts";
import type { OllamaChat, OllamaGenerate, Options } from "./ollama-shape.ts";

type Fields = Readonly<Record<string, unknown>>;

export function refuse(param: string, message: string): never {
  throw new CortexError("unsupported_parameter", message, { param });
}

/** No limit is written as a number below one. */
export const limitOf = (options: Options | null | undefined): number | null => {
  const most = options?.num_predict;
  return most != null && most > 0 ? most : null;
};

/** How to sample, as OpenAI's fields. What no engine here can do is refused where it would make a difference. */
export function samplingFields(options: Options | null | undefined): Fields {
  if (options == null) return {};
  const off: readonly (readonly ["mirostat" | "typical_p" | "tfs_z", number])[] = [
    ["mirostat", 0],
    ["typical_p", 1],
    ["tfs_z", 1],
  ];
  for (const [name, neutral] of off) {
    const value = options[name];
    if (value != null && value !== neutral) {
      refuse(`options.${name}`, `\`options.${name}\` is a way to sample that no engine here has`);
    }
  }
  const { stop } = options;
  return {
    ...given("temperature", options.temperature),
    ...given("top_p", options.top_p),
    ...given("top_k", options.top_k),
    ...given("min_p", options.min_p),
    ...given("seed", options.seed),
    ...(stop == null || stop.length === 0 ? {} : { stop }),
    ...given("max_tokens", limitOf(options)),
    ...given("repeat_penalty", options.repeat_penalty),
    ...given("presence_penalty", options.presence_penalty),
    ...given("frequency_penalty", options.frequency_penalty),
  };
}

export function formatFields({ format }: OllamaChat | OllamaGenerate): Fields {
  if (format == null || format === "") return {};
  if (format === "json") return { response_format: { type: "json_object" } };
  if (typeof format === "string") refuse("format", '`format` is neither "json" nor a JSON Schema');
  return { response_format: { type: "json_schema", json_schema: { name: "output", schema: format } } };
}

/** A template that knows no thinking takes no notice of the variables. */
export function thinkFields({ think }: OllamaChat | OllamaGenerate): Fields {
  if (think == null) return {};
  if (typeof think === "boolean") return { chat_template_kwargs: { enable_thinking: think } };
  return { chat_template_kwargs: { enable_thinking: true, reasoning_effort: think } };
}

/** What cannot be translated back would be lost without a word. */
export function refuseUntranslated({ logprobs }: OllamaChat | OllamaGenerate): void {
  if (logprobs === true) refuse("logprobs", "`logprobs` is not translated; /v1/chat/completions has them");
}

/** Streamed unless it is said otherwise. */
export const isStreamed = ({ stream }: OllamaChat | OllamaGenerate): boolean => stream !== false;

export const streamFields = (request: OllamaChat | OllamaGenerate): Fields =>
  isStreamed(request) ? { stream: true, stream_options: { include_usage: true } } : {};
