import type { DialectRoute } from "../contract/dialect.ts";
import { earlierItems, ownItems } from "./earlier-items.ts";
import { ToolSet } from "./offered-tools.ts";
import { toResponse } from "./response-object.ts";
import { ResponseStream } from "./response-stream.ts";
import { readResponsesRequest, toChatRequest } from "./responses-request.ts";

/** `POST /v1/responses`. Its errors are OpenAI's, as they are. */
export const RESPONSES_ROUTE: DialectRoute = {
  path: "/v1/responses",
  upstreamPath: "/v1/chat/completions",
  // Agents repeat a 422 five times: OpenAI says 400 to every request that is wrong.
  errors: { body: (envelope) => envelope, status: (status) => (status === 422 ? 400 : status) },
  withoutConversation: (body) => ({ ...body, input: "." }),
  translate(body, identity) {
    const request = readResponsesRequest(body);
    const tools = new ToolSet(request.tools);
    const { memory } = identity;
    const items = { earlier: earlierItems(request, memory), own: ownItems(request, memory) };
    const id = `resp_${identity.newId()}`;
    const isKept = memory !== undefined && request.store !== false;
    const keep = (output: readonly unknown[]) => {
      const previousId = request.previous_response_id ?? null;
      if (isKept) memory.keep({ id, previousId, items: [...items.own, ...output] });
    };
    const asked = { id, request, tools, identity, isKept, keep };
    return {
      model: request.model,
      stream: request.stream === true,
      maxOutputTokens: request.max_output_tokens ?? null,
      body: toChatRequest(request, tools, items),
      answer: {
        whole: (answer) => toResponse(answer, asked),
        stream: () => new ResponseStream(asked),
      },
    };
  },
};
