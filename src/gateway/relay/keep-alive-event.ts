/**
 * An event that says nothing and is valid in the dialect of the route: some clients count no comment as a sign of
 * life. Null where the route has no such event.
 */
export function keepAliveEvent(path: string, model: string, createdSecs: number): string | null {
  switch (path) {
    case "/v1/chat/completions":
      return event({
        id: "chatcmpl-keep-alive",
        object: "chat.completion.chunk",
        created: createdSecs,
        model,
        choices: [{ index: 0, delta: {}, finish_reason: null }],
      });
    case "/v1/completions":
      return event({
        id: "cmpl-keep-alive",
        object: "text_completion",
        created: createdSecs,
        model,
        choices: [{ index: 0, text: "", logprobs: null, finish_reason: null }],
      });
    default:
      return null;
  }
}

const event = (payload: unknown): string => `data: ${JSON.stringify(payload)}\n\n`;
