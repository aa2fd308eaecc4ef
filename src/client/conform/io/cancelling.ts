import { CortexError } from "../../../core/errors.ts";
import { breach } from "../../grammar/stream-grammar.ts";
import type { Judgement } from "../judge-told.ts";
import { QUESTIONS } from "../questions.ts";
import { exchange, type ServerUnderTest } from "./exchange.ts";

/** As many as fill the places of most servers. */
const LEAVING_CLIENTS = 4;
/** Nobody waits longer where the places are free; a long answer takes longer. */
const LONGEST_WAIT_MS = 10_000;
/** A client of an answer that is not streamed sees nothing to leave at. */
const LEAVES_AFTER_MS = 400;

/** Several clients ask for long answers and leave; then somebody asks for a short one. */
export async function judgeCancelling(
  server: ServerUnderTest,
  model: string,
  stream: boolean,
): Promise<{ readonly judgements: readonly Judgement[]; readonly detail: string }> {
  const { clock, dialect } = server;
  const body = JSON.stringify(dialect.body(model, { ...QUESTIONS.long, stream }));
  await Promise.all(
    Array.from({ length: LEAVING_CLIENTS }, () =>
      stream
        ? exchange(server, { body, stream, leavesAfter: (events) => events >= 2 })
        : leaveEarly(server, body),
    ),
  );
  const startedMs = clock.monotonicMs();
  const short = JSON.stringify(dialect.body(model, QUESTIONS.short));
  const patient = { ...server, timeoutMs: LONGEST_WAIT_MS };
  const answer = await exchange(patient, { body: short }).catch((thrown: unknown) => {
    if (thrown instanceof CortexError && thrown.code === "upstream_connection_error") return null;
    throw thrown;
  });
  const waited = `${((clock.monotonicMs() - startedMs) / 1000).toFixed(1)} s`;
  const isServed = answer?.status === 200;
  const breaches = isServed
    ? []
    : [
        breach(
          "cancel-frees",
          `${LEAVING_CLIENTS} clients left ${stream ? "streams" : "whole answers"}; a short question after it ` +
            (answer === null ? `was not answered in ${waited}` : `was answered with HTTP ${answer.status}`),
        ),
      ];
  return {
    judgements: [{ looked: ["cancel-frees"], breaches }],
    detail: `a short question was answered after ${waited}`,
  };
}

async function leaveEarly(server: ServerUnderTest, body: string): Promise<void> {
  const left = new CortexError("interrupted", "left on purpose");
  const leaving = new AbortController();
  const cancelAlarm = server.clock.alarm(LEAVES_AFTER_MS, () => {
    leaving.abort(left);
  });
  const end = () => {
    leaving.abort(server.signal.reason);
  };
  server.signal.addEventListener("abort", end, { once: true });
  try {
    await exchange({ ...server, signal: leaving.signal }, { body });
  } catch (thrown) {
    if (!leaving.signal.aborted || server.signal.aborted) throw thrown;
  } finally {
    cancelAlarm();
    server.signal.removeEventListener("abort", end);
  }
}
