import type { Breach, RuleName } from "../grammar/rules.ts";
import { breach, type ToldAnswer } from "../grammar/stream-grammar.ts";
import { judgeCalls } from "../grammar/told-calls.ts";
import type { ConformDialect, Question } from "./conform-dialect.ts";

/** What was looked at, and what was found; a rule that was looked at and not found broken is kept. */
export interface Judgement {
  readonly looked: readonly RuleName[];
  readonly breaches: readonly Breach[];
  readonly told?: ToldAnswer | undefined;
}

export interface Asked {
  readonly question: Question;
  readonly model: string;
  /** Of calls before, in the whole conversation. */
  readonly earlierIds: readonly string[];
}

type Judge = (dialect: ConformDialect, asked: Asked, told: ToldAnswer) => Judgement;

const found = (rule: RuleName, detail: string | null): Judgement => ({
  looked: [rule],
  breaches: detail === null ? [] : [breach(rule, detail)],
});

/** What an answer said, streamed or whole. */
export function judgeTold(dialect: ConformDialect, asked: Asked, told: ToldAnswer): Judgement {
  const judged = JUDGES.map((judge) => judge(dialect, asked, told));
  return {
    looked: judged.flatMap(({ looked }) => looked),
    breaches: judged.flatMap(({ breaches }) => breaches),
  };
}

const judgeModel: Judge = (_dialect, { model }, told) =>
  found(
    "model-as-asked",
    told.model === null || told.model === model ? null : `asked for ${model}, answered by ${told.model}`,
  );

const judgeUsage: Judge = (_dialect, _asked, { usage }) => {
  if (usage === null) return found("usage-told", "no usage is told");
  return found("usage-told", usage.input === 0 ? "the prompt has 0 tokens" : null);
};

const judgeStop: Judge = ({ stops }, _asked, { stop }) =>
  found(
    "stop-known",
    stop === null || stops.includes(stop) ? null : `${JSON.stringify(stop)} is none of ${stops.join(", ")}`,
  );

const judgeLimit: Judge = ({ limitStop }, { question: { limit } }, { usage, calls, stop }) => {
  const output = usage?.output ?? 0;
  if (output > limit) return found("limit-held", `${output} tokens where ${limit} were allowed`);
  const isCut = output === limit && calls.length === 0;
  return found(
    "limit-held",
    isCut && stop !== limitStop ? `${output} tokens, the limit, and the stop is ${String(stop)}` : null,
  );
};

const judgeDemand: Judge = (_dialect, { question: { demand } }, { calls, text }) => {
  if (demand === undefined) return { looked: [], breaches: [] };
  const isCalled = calls.some(({ name }) => name === demand);
  const instead = text === "" ? "nothing" : JSON.stringify(text.slice(0, 80));
  return found("tool-called", isCalled ? null : `${demand} was demanded, the answer is ${instead}`);
};

const judgeMadeCalls: Judge = (dialect, { question, earlierIds }, told) => {
  if (question.tools === undefined || told.calls.length === 0) return { looked: [], breaches: [] };
  const offered = question.tools.map(({ name }) => name);
  const inPieces = question.stream && dialect.streamRules.includes("chat-chunk");
  return {
    looked: [
      "tool-arguments",
      "tool-ids",
      "tool-names",
      ...(inPieces ? (["tool-pieces"] as const) : []),
      ...(dialect.framing === "lines" ? (["ollama-calls"] as const) : []),
    ],
    breaches: judgeCalls(told, { offered, earlier: earlierIds, limitStop: dialect.limitStop }),
  };
};

const judgeToolStop: Judge = ({ toolStop, limitStop }, { question: { demand } }, { calls, stop }) => {
  // OpenAI's own servers say `stop` where a tool was demanded.
  const isJudged = toolStop !== null && (demand === undefined || toolStop === "tool_use");
  if (!isJudged || calls.length === 0) return { looked: [], breaches: [] };
  const isRight = stop === toolStop || stop === limitStop;
  return found("tool-stop", isRight ? null : `a tool is called, and the stop is ${String(stop)}`);
};

const JUDGES = [
  judgeModel,
  judgeUsage,
  judgeStop,
  judgeLimit,
  judgeDemand,
  judgeMadeCalls,
  judgeToolStop,
] as const satisfies readonly Judge[];
