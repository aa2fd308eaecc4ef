import { isRecord, parseJson } from "../../core/json.ts";
import { breach, type ToldAnswer } from "./stream-grammar.ts";
import type { Breach } from "./rules.ts";

/** What holds of calls in every dialect, streamed or whole. `earlier` are ids of calls before in the conversation. */
export function judgeCalls(
  { calls, stop }: ToldAnswer,
  {
    offered,
    earlier,
    limitStop,
  }: {
    readonly offered: readonly string[];
    readonly earlier: readonly string[];
    /** The word for an answer that a limit cut: its last call may be half. */
    readonly limitStop: string;
  },
): readonly Breach[] {
  const seen = new Set(earlier);
  return calls.flatMap(({ id, name, json }, index) => {
    const isCut = stop === limitStop && index === calls.length - 1;
    const breaches: Breach[] = [];
    if (id === "") breaches.push(breach("tool-ids", `the call of ${name} has no id`));
    else if (seen.has(id)) breaches.push(breach("tool-ids", `the id ${id} occurs twice`));
    seen.add(id);
    if (!offered.includes(name))
      breaches.push(breach("tool-names", `${JSON.stringify(name)} was not offered`));
    if (!isCut && !isRecord(parseJson(json))) {
      breaches.push(
        breach("tool-arguments", `the arguments of ${name} are ${JSON.stringify(json.slice(0, 120))}`),
      );
    }
    return breaches;
  });
}
