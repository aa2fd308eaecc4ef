import { randomBytes } from "node:crypto";
import { parentPort } from "node:worker_threads";
import { toCortexError } from "../../../core/errors.ts";
import { DIALECT_ROUTES } from "../dialect-routes.ts";
import { translateAway } from "../translate-body.ts";
import type { LongRequest, TranslationReply } from "./translation-thread.ts";

/** The thread of `TranslationThread`: a long body blocks whoever parses it. */
function replyTo({ path, body, nowSecs }: LongRequest): TranslationReply {
  try {
    const route = DIALECT_ROUTES.find((candidate) => candidate.path === path);
    if (route === undefined) throw new Error(`no dialect has the route ${path}`);
    const identity = { newId: () => randomBytes(12).toString("hex"), nowSecs };
    return {
      kind: "translated",
      ...translateAway(route, Buffer.from(body.buffer, body.byteOffset, body.length), identity),
    };
  } catch (thrown) {
    const { code, message, param, next } = toCortexError(thrown);
    return { kind: "refused", code, message, param, next };
  }
}

parentPort?.on("message", (request: LongRequest) => {
  const reply = replyTo(request);
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread is no window
  parentPort?.postMessage(reply);
});
