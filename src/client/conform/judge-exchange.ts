import { parseJson } from "../../core/json.ts";
import { formatDuration } from "../../core/quantities.ts";
import type { Breach, RuleName } from "../grammar/rules.ts";
import {
  breach,
  judgeStream,
  type StreamEnding,
  type StreamEvent,
  type ToldAnswer,
} from "../grammar/stream-grammar.ts";
import type { ConformDialect, WrongRequest } from "./conform-dialect.ts";
import { judgeTold, type Asked, type Judgement } from "./judge-told.ts";

/** Something that came of a stream, and when. */
export interface Arrival {
  readonly atMs: number;
  readonly kind: "event" | "comment";
  /** As it came, cut short. */
  readonly text: string;
}

/** One request and all that came of it. */
export interface Exchange {
  readonly status: number;
  readonly contentType: string;
  /** Empty where it was a stream. */
  readonly body: string;
  readonly events: readonly StreamEvent[];
  readonly arrivals: readonly Arrival[];
  readonly ending: StreamEnding;
  readonly headMs: number;
  readonly endMs: number;
}

/** Clients give up after minutes of silence, the least patient after 120 s: this leaves room for networks between. */
export const LONGEST_SILENCE_MS = 15_000;

const isJson = (contentType: string): boolean => /^application\/(?:[\w.+-]*\+)?json\b/.test(contentType);

const answeredWith = ({ status, body }: Exchange): Breach =>
  breach("answered", `answered with HTTP ${status}: ${body.slice(0, 200)}`);

/** An answer to a request that is right, streamed or not as the question wanted it. */
export function judgeAnswer(dialect: ConformDialect, asked: Asked, exchange: Exchange): Judgement {
  if (exchange.status !== 200) return { looked: ["answered"], breaches: [answeredWith(exchange)] };
  const read = asked.question.stream ? readStream(dialect, exchange) : readWhole(dialect, exchange);
  const looked: RuleName[] = ["answered", ...read.looked];
  const breaches = [...read.breaches];
  const { told } = read;
  if (told === undefined) return { looked, breaches };
  const judged = judgeTold(dialect, asked, told);
  return {
    looked: [...looked, ...judged.looked],
    breaches: [...breaches, ...judged.breaches],
    told,
  };
}

function readWhole(dialect: ConformDialect, { contentType, body }: Exchange): Judgement {
  const { told, breaches } = dialect.whole(parseJson(body));
  const type = isJson(contentType) ? [] : [breach("media-type", `a whole answer is ${contentType}`)];
  return { looked: ["media-type", "whole-shape"], breaches: [...type, ...breaches], told };
}

function readStream(dialect: ConformDialect, exchange: Exchange): Judgement {
  const { contentType, events, ending } = exchange;
  const judged = judgeStream(dialect.grammar, events, ending);
  const type = contentType.startsWith(dialect.streamType)
    ? []
    : [breach("media-type", `a stream is ${contentType}`)];
  const said = judged.told.text + judged.told.thinking;
  const silent =
    said === "" && judged.told.calls.length === 0 && judged.phase !== "failed"
      ? [breach("stream-said", "the stream had no text, no thinking and no call")]
      : [];
  const failed = judged.phase === "failed" || ending === "broken";
  return {
    looked: [
      "media-type",
      "stream-readable",
      "nothing-after-end",
      "alive",
      "stream-said",
      ...(failed ? (["error-then-broken"] as const) : (["stream-terminated"] as const)),
      ...dialect.streamRules,
      ...(judged.told.thinking !== "" && dialect.streamRules.includes("messages-named")
        ? (["messages-signed"] as const)
        : []),
    ],
    breaches: [...type, ...judged.breaches, ...silent, ...judgeSilence(exchange)],
    told: judged.told,
  };
}

/** Comments do not count: to several clients they are no sign of life. */
export function judgeSilence({ headMs, arrivals, endMs }: Exchange): readonly Breach[] {
  if (headMs > LONGEST_SILENCE_MS) return [breach("alive", `the head came after ${formatDuration(headMs)}`)];
  let lastMs = 0;
  for (const atMs of [...arrivals.flatMap((one) => (one.kind === "event" ? [one.atMs] : [])), endMs]) {
    if (atMs - lastMs > LONGEST_SILENCE_MS) {
      return [
        breach(
          "alive",
          `no event came for ${formatDuration(atMs - lastMs)} from ${formatDuration(lastMs)} on`,
        ),
      ];
    }
    lastMs = atMs;
  }
  return [];
}

/** An answer to a request that is wrong. */
export function judgeRefusal(dialect: ConformDialect, wrong: WrongRequest, exchange: Exchange): Judgement {
  const { status, contentType, body } = exchange;
  const breaches: Breach[] = [];
  if (!wrong.statuses.includes(status)) {
    const expected = wrong.statuses.join(" or ");
    breaches.push(breach("error-status", `${wrong.what}: HTTP ${status} instead of ${expected}`));
  }
  if (status < 400) return { looked: ["error-status"], breaches };
  const parsed = dialect.errorSchema.safeParse(parseJson(body));
  if (!parsed.success) {
    breaches.push(
      breach(
        "error-shape",
        `${wrong.what}: ${parsed.error.issues[0]?.path.join(".") ?? ""} in ${body.slice(0, 160)}`,
      ),
    );
  }
  if (!isJson(contentType)) breaches.push(breach("media-type", `${wrong.what}: the error is ${contentType}`));
  return { looked: ["error-status", "error-shape", "media-type"], breaches };
}

/** Whether one prompt counts the same in both ways to ask it. */
export function judgeCounts(whole: ToldAnswer | undefined, streamed: ToldAnswer | undefined): Judgement {
  const [one, other] = [whole?.usage?.input, streamed?.usage?.input];
  if (one === undefined || other === undefined) return { looked: [], breaches: [] };
  const breaches =
    one === other
      ? []
      : [breach("usage-agrees", `${one} tokens of prompt when whole, ${other} when streamed`)];
  return { looked: ["usage-agrees"], breaches };
}
