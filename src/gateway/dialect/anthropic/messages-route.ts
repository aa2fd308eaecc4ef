import { z } from "zod";
import type { DialectRoute } from "../contract/dialect.ts";
import { anthropicErrors } from "./anthropic-error.ts";
import { toMessage } from "./message.ts";
import { MessageStream } from "./message-stream.ts";
import { conversationOf, readMessagesRequest, toChatRequest } from "./messages-request.ts";

const withoutConversation: DialectRoute["withoutConversation"] = (body) => ({
  ...body,
  messages: [{ role: "user", content: "." }],
  system: undefined,
});

/** `POST /v1/messages`. */
export const MESSAGES_ROUTE: DialectRoute = {
  path: "/v1/messages",
  upstreamPath: "/v1/chat/completions",
  errors: anthropicErrors,
  withoutConversation,
  translate(body, { newId }) {
    const request = readMessagesRequest(body);
    const identity = { id: `msg_${newId()}`, model: request.model };
    return {
      model: request.model,
      stream: request.stream === true,
      maxOutputTokens: request.max_tokens ?? null,
      body: toChatRequest(request),
      answer: {
        whole: (answer) => toMessage(answer, identity),
        stream: (promptTokens) => new MessageStream(identity, promptTokens),
      },
    };
  },
};

const countSchema = z.looseObject({ count: z.number() });

/** `POST /v1/messages/count_tokens`. */
export const COUNT_TOKENS_ROUTE: DialectRoute = {
  path: "/v1/messages/count_tokens",
  upstreamPath: "/v1/count_tokens",
  errors: anthropicErrors,
  withoutConversation,
  translate(body) {
    const request = readMessagesRequest(body);
    return {
      model: request.model,
      stream: false,
      maxOutputTokens: null,
      body: conversationOf(request),
      answer: {
        whole: (answer) => ({ input_tokens: countSchema.parse(answer).count }),
        stream: () => {
          throw new Error("a count is never streamed");
        },
      },
    };
  },
};
