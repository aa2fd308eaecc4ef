/**
 * What `cortex conform` holds a server to. Each rule is here because some client was seen to fail without it; the
 * page docs/conformance.md is made of this table, and a test plants a breach of each.
 */
export const RULES = {
  answered: "a request that is right is answered with HTTP 200",
  "media-type": "an answer is JSON; a stream has the media type of its dialect",
  "models-listed": "the list of models has the dialect's shape",
  "model-as-asked": "an answer names the model as it was asked for",
  "whole-shape": "an answer that is not streamed has the dialect's fields",
  "usage-told": "the tokens of prompt and answer are told",
  "usage-agrees": "the same prompt has the same number of tokens, streamed or not",
  "stop-known": "why an answer ended is a word of the dialect",
  "limit-held": "no answer is longer than was allowed, and one that was cut short says so",
  "stream-readable": "every event of a stream is JSON, framed as the dialect does it",
  "stream-terminated": "a stream that is whole says so at its end",
  "stream-said": "a stream says something",
  "nothing-after-end": "nothing follows the end of a stream, or its error",
  "error-then-broken": "a stream that fails says so in an error event, and then its connection breaks",
  alive: "a stream has its head and an event of its dialect within 15 s, and another every 15 s",
  "tool-called": "a tool that the request demands is called",
  "tool-pieces": "pieces of a call come in order: its id and name first, one call after the other",
  "tool-arguments": "the arguments of a call, put together, are one JSON object",
  "tool-ids": "every call has an id, and none occurs twice in a conversation",
  "tool-names": "only tools that were offered are called",
  "tool-stop": "an answer that calls a tool says that it ended for that",
  "tool-result": "the result of a tool is taken, and answered",
  "error-status": "a request that is wrong has the status by which its clients know it, streamed or not",
  "error-shape": "an error is told in the dialect's shape",
  "fields-tolerated": "fields that clients send and that ask for nothing are no error",
  "overflow-words": "a conversation that is too long is refused in the words that make agents shorten it",
  "cancel-frees": "a client that leaves frees its place at once, streamed or not",
  "chat-unnamed": "events of a chat stream have no name",
  "chat-chunk": "every chunk has the fields of a chat.completion.chunk",
  "chat-id": "all chunks that say something have the same id",
  "chat-finish": "each choice has one finish_reason, and says nothing after it",
  "chat-usage": "usage, where it was asked for, comes once, in a last chunk without choices",
  "messages-named": "every event is named by its `type`",
  "messages-start":
    "`message_start` comes first, once, complete, with the tokens of the prompt; only `ping` may precede it",
  "messages-blocks": "blocks are numbered from 0, one is open at a time, and each is closed",
  "messages-deltas": "a delta is of the kind of its block",
  "messages-signed": "thinking is signed before its block is closed, since clients send it back",
  "messages-empty-text": "no block of text is empty: it is refused when it comes back",
  "messages-stop":
    "`message_delta` with stop reason and usage comes once, when all blocks are closed, before `message_stop`",
  "responses-named": "every event is named by its `type`",
  "responses-sequence": "`sequence_number` counts all events from 0",
  "responses-created": "`response.created` comes first, once",
  "responses-items": "an item is added, grows, and is done, one after the other, under one id and one index",
  "responses-item-whole": "a done item has all that its deltas said, and all that agents act on",
  "responses-output": "the last event repeats every item that was done",
  "ollama-line": "every line is an answer of the dialect with `model`, `created_at` and `done`",
  "ollama-done": "the last line, and no other, is `done`, with reason, counts and durations",
  "ollama-calls": "a call comes whole, with its arguments as an object",
} as const;

export type RuleName = keyof typeof RULES;

/** What broke a rule, in words. */
export interface Breach {
  readonly rule: RuleName;
  readonly detail: string;
}
