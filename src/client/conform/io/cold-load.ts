import type { ColdLoad } from "../conform-report.ts";
import { judgeAnswer, type Exchange } from "../judge-exchange.ts";
import type { Judgement } from "../judge-told.ts";
import { formatDuration } from "../../../core/quantities.ts";
import { QUESTIONS } from "../questions.ts";
import { exchange, type ServerUnderTest } from "./exchange.ts";

const SHOWN_ARRIVALS = 12;

/** What a client gets that streams from a model which is not loaded yet. */
export async function coldLoad(
  server: ServerUnderTest,
  model: string,
): Promise<{
  readonly judgements: readonly Judgement[];
  readonly detail: string;
  readonly report: ColdLoad;
}> {
  const { dialect } = server;
  const question = { ...QUESTIONS.plain, stream: true };
  const answer = await exchange(server, {
    body: JSON.stringify(dialect.body(model, question)),
    stream: true,
  });
  const judged = judgeAnswer(dialect, { question, model, earlierIds: [] }, answer);
  const report = reportOf(model, answer);
  const detail = `head after ${formatDuration(report.headMs)}, longest silence ${formatDuration(report.longestSilenceMs)}, whole after ${formatDuration(report.endMs)}`;
  return { judgements: [judged], detail, report };
}

function reportOf(model: string, { arrivals, headMs, endMs }: Exchange): ColdLoad {
  const events = arrivals.filter(({ kind }) => kind === "event");
  const times = [0, ...events.map(({ atMs }) => atMs), endMs];
  const gaps = times.slice(1).map((atMs, index) => atMs - (times[index] ?? 0));
  return {
    model,
    headMs,
    endMs,
    events: events.length,
    comments: arrivals.length - events.length,
    longestSilenceMs: Math.max(...gaps),
    arrivals: arrivals.slice(0, SHOWN_ARRIVALS).map(({ atMs, text, kind }) => ({
      atMs: Math.round(atMs),
      text: kind === "comment" ? `: ${text}` : text,
    })),
  };
}
