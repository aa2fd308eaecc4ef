// What counts as right. Pure: text in, verdict out.
import { isDeepStrictEqual } from "node:util";

const CALL = /^<tool_call>\n(.*)\n<\/tool_call>$/s;

/** The tool call in an answer, or undefined when it is not exactly one well-formed call. */
export function parseCall(said) {
  const match = CALL.exec(said.trim());
  if (!match) return undefined;
  try {
    const call = JSON.parse(match[1]);
    const wellFormed =
      typeof call.name === "string" && typeof call.arguments === "object" && call.arguments !== null;
    return wellFormed ? call : undefined;
  } catch {
    return undefined;
  }
}

/** Verdict on one answer: exact text, or an equal call. */
export function judge(item, said) {
  if (item.expected.texts) return { right: item.expected.texts.includes(said.trim()), wellFormed: true };
  const call = parseCall(said);
  const right = call !== undefined && isDeepStrictEqual(call, { ...item.expected.calls[0] });
  return { right, wellFormed: call !== undefined };
}

const share = (items) => ({
  asked: items.length,
  right: items.filter((item) => item.right).length,
  rate: items.length === 0 ? 0 : items.filter((item) => item.right).length / items.length,
});

const TALK_TOPICS = [
  "facts",
  "talk",
  "fallback",
  "refusal",
  "arithmetic",
  "arithmetic_by_heart",
  "too_hard",
  "extraction",
  "rewriting",
  "several",
];
const SHIPPED_TOPICS = ["tool", "two_steps"];
const ASKED_TOPICS = ["asked_tool", "asked_two_steps"];

/** Figures per topic and the sums that the requirements ask for. */
export function tally(results) {
  const topics = {};
  for (const result of results) {
    const key = result.part === "reply" ? result.topic : `${result.topic}: ${result.part}`;
    topics[key] ??= [];
    topics[key].push(result);
  }
  const calls = (of) => {
    const found = results.filter((r) => of.includes(r.topic) && r.part === "call");
    return { ...share(found), wellFormed: found.filter((r) => r.wellFormed).length };
  };
  return {
    demoTopics: share(results.filter((r) => TALK_TOPICS.includes(r.topic))),
    shippedToolCalls: calls(SHIPPED_TOPICS),
    askedToolCalls: calls(ASKED_TOPICS),
    answersFromToolResults: share(
      results.filter((r) => SHIPPED_TOPICS.includes(r.topic) && r.part === "answer"),
    ),
    fallback: share(results.filter((r) => r.topic === "fallback")),
    topics: Object.fromEntries(Object.entries(topics).map(([key, list]) => [key, share(list)])),
  };
}
