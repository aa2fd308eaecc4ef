import { CortexError } from "../../core/errors.ts";
import { isRecord, parseJson } from "../../core/json.ts";

const LONGEST_MESSAGE = 1000;

/**
 * What an engine says when it does not answer, in our words: each engine has an envelope of its own, and none of theirs
 * is a promise of ours. Its sentence is kept where it is for the client, who wrote the request.
 */
export function readRefusal(status: number, text: string): CortexError {
  const said = sentenceIn(text);
  if (status === 401 || status === 403) {
    return new CortexError("engine_denied", "the external engine refuses the neuron's token");
  }
  if (status === 429 || status === 503) {
    return new CortexError("queue_full", "the external engine takes no more requests now");
  }
  if (status === 413)
    return new CortexError("body_too_large", said ?? "the external engine takes no body so large");
  if (status >= 500 || status < 400) {
    // Its words are about itself: paths, versions, stacks. They are for the log.
    return new CortexError("engine_error", `the external engine answered with HTTP ${status}`);
  }
  return clientError(status, said);
}

function clientError(status: number, said: string | null): CortexError {
  if (said !== null && isAboutContext(said)) return new CortexError("context_length_exceeded", said);
  const message = said ?? `the external engine refused the request with HTTP ${status}`;
  return new CortexError("engine_refused", message, { details: { engine_status: status } });
}

const isAboutContext = (said: string): boolean =>
  /context (?:length|size|window)|maximum context|exceed\w* .{0,40}context|too many tokens/i.test(said);

/** OpenAI's `error.message`, FastAPI's `detail`, vLLM's `message`; null for a page or nothing. */
export function sentenceIn(text: string): string | null {
  const body = parseJson(text);
  if (!isRecord(body)) return null;
  const error = body["error"];
  const candidates = [
    isRecord(error) ? error["message"] : error,
    body["message"],
    Array.isArray(body["detail"]) ? detailOf(body["detail"]) : body["detail"],
  ];
  const said = candidates.find((candidate) => typeof candidate === "string" && candidate.trim() !== "");
  return typeof said === "string" ? said.trim().slice(0, LONGEST_MESSAGE) : null;
}

/** `[{loc: ["body", "n"], msg: "..."}]` */
const detailOf = (details: readonly unknown[]): string =>
  details
    .flatMap((detail) => {
      if (!isRecord(detail) || typeof detail["msg"] !== "string") return [];
      const place = Array.isArray(detail["loc"]) ? detail["loc"].filter((part) => part !== "body") : [];
      return [place.length === 0 ? detail["msg"] : `${place.join(".")}: ${detail["msg"]}`];
    })
    .join("; ");
