import type {
  AnswerIdentity,
  AnswerTranslator,
  DialectRoute,
  TranslatedRequest,
} from "../contract/dialect.ts";
import { readRequest } from "../contract/read-request.ts";
import { chatShape, generateShape, loadAnswer, wholeChat, wholeText, type Shape } from "./answer.ts";
import { ChatLines, TextLines } from "./answer-stream.ts";
import { toChatMessages, userContent } from "./chat-messages.ts";
import { EMBED_ROUTE, EMBEDDINGS_ROUTE } from "./embed-routes.ts";
import { keepMsOf } from "./keep-alive.ts";
import { line, LINES_TYPE } from "./line.ts";
import { otherNameOf } from "./model-name.ts";
import { ollamaErrors } from "./ollama-error.ts";
import { chatSchema, generateSchema, type OllamaChat, type OllamaGenerate } from "./ollama-shape.ts";
import {
  formatFields,
  isStreamed,
  limitOf,
  refuse,
  refuseUntranslated,
  samplingFields,
  streamFields,
  thinkFields,
} from "./settings.ts";

/** What a client wishes about how long the model stays. */
const wishOf = ({ keep_alive: keepAlive }: Pick<OllamaChat, "keep_alive">) => {
  const keepMs = keepMsOf(keepAlive);
  return keepMs === undefined ? {} : { keepMs };
};

/** What does not depend on what is asked. */
const askedOf = (request: OllamaChat | OllamaGenerate) => {
  const otherName = otherNameOf(request.model);
  return {
    model: request.model,
    ...(otherName === undefined ? {} : { otherName }),
    stream: isStreamed(request),
    maxOutputTokens: limitOf(request.options),
    ...wishOf(request),
  };
};

const settingsOf = (request: OllamaChat | OllamaGenerate) => ({
  ...samplingFields(request.options),
  ...formatFields(request),
  ...thinkFields(request),
  ...streamFields(request),
});

function chatAnswer(model: string, identity: AnswerIdentity, shape: Shape): AnswerTranslator {
  const head = { model, identity };
  return {
    whole: (answer) => wholeChat(answer, head, shape),
    stream: (promptTokens) => new ChatLines(head, shape, promptTokens),
  };
}

/** Without a question the model is to be loaded, or with no time to stay, to go as soon as its place is needed. */
function loadRequest(
  request: OllamaChat | OllamaGenerate,
  identity: AnswerIdentity,
  shape: Shape,
): TranslatedRequest {
  const head = { model: request.model, identity };
  const asked = askedOf(request);
  if (asked.keepMs === 0) {
    const answer = loadAnswer(head, shape, "unload");
    return { ...asked, body: {}, answer, instead: line(answer.whole(null)) };
  }
  return {
    ...asked,
    maxOutputTokens: 1,
    body: { messages: [{ role: "user", content: "" }], max_tokens: 1, ...streamFields(request) },
    answer: loadAnswer(head, shape, "load"),
  };
}

const isEmpty = (value: unknown): boolean =>
  value == null || value === "" || (Array.isArray(value) && value.length === 0);

/** `POST /api/chat`. */
const CHAT_ROUTE: DialectRoute = {
  path: "/api/chat",
  upstreamPath: "/v1/chat/completions",
  streamType: LINES_TYPE,
  errors: ollamaErrors,
  withoutConversation: (body) => ({
    ...body,
    messages: isEmpty(body["messages"]) ? body["messages"] : [{ role: "user", content: "." }],
  }),
  translate(body, identity) {
    const request = readRequest(chatSchema, body);
    refuseUntranslated(request);
    const messages = request.messages ?? [];
    if (messages.length === 0) return loadRequest(request, identity, chatShape);
    const tools = (request.tools ?? []).map((tool) => ({ type: "function", function: tool.function }));
    return {
      ...askedOf(request),
      body: {
        messages: toChatMessages(messages),
        ...(tools.length === 0 ? {} : { tools }),
        ...settingsOf(request),
      },
      answer: chatAnswer(request.model, identity, chatShape),
    };
  },
};

/** `POST /api/generate`. */
const GENERATE_ROUTE: DialectRoute = {
  path: "/api/generate",
  upstreamPath: "/v1/chat/completions",
  streamType: LINES_TYPE,
  errors: ollamaErrors,
  withoutConversation: ({ prompt, images, ...rest }) => ({
    ...rest,
    prompt: isEmpty(prompt) && isEmpty(images) ? prompt : ".",
    system: undefined,
  }),
  translate(body, identity) {
    const request = readRequest(generateSchema, body);
    refuseUntranslated(request);
    refuseForms(request);
    const prompt = request.prompt ?? "";
    const images = request.images ?? [];
    if (prompt === "" && images.length === 0) return loadRequest(request, identity, generateShape);
    if (request.raw === true) return rawRequest(request, identity);
    const system = request.system ?? "";
    return {
      ...askedOf(request),
      body: {
        messages: [
          ...(system === "" ? [] : [{ role: "system", content: system }]),
          { role: "user", content: userContent(prompt, images) },
        ],
        ...settingsOf(request),
      },
      answer: chatAnswer(request.model, identity, generateShape),
    };
  },
};

const isSaid = (text: string | null | undefined): boolean => text != null && text !== "";

/** Each would change the answer, so none is left out without a word. */
function refuseForms({ template, suffix, context }: OllamaGenerate): void {
  if (isSaid(template))
    refuse("template", "a model is asked in its own template; `raw` takes a prompt as it is");
  if (isSaid(suffix)) refuse("suffix", "text is not filled in before a `suffix`");
  if (context != null && context.length > 0) {
    refuse("context", "`context` is not kept between requests; /api/chat takes the messages so far");
  }
}

/** A prompt that passes by the template. */
function rawRequest(request: OllamaGenerate, identity: AnswerIdentity): TranslatedRequest {
  if (isSaid(request.system)) refuse("system", "a `raw` prompt has no place for `system`");
  if (request.format != null && request.format !== "") {
    refuse("format", "a `raw` prompt is answered without a `format`");
  }
  if ((request.images ?? []).length > 0) refuse("images", "a `raw` prompt has no place for `images`");
  const head = { model: request.model, identity };
  return {
    ...askedOf(request),
    upstreamPath: "/v1/completions",
    body: { prompt: request.prompt ?? "", ...samplingFields(request.options), ...streamFields(request) },
    answer: {
      whole: (answer) => wholeText(answer, head),
      stream: (promptTokens) => new TextLines(head, generateShape, promptTokens),
    },
  };
}

/** What models are asked in Ollama's words. */
export const OLLAMA_ROUTES: readonly DialectRoute[] = [
  CHAT_ROUTE,
  GENERATE_ROUTE,
  EMBED_ROUTE,
  EMBEDDINGS_ROUTE,
];
