import type { RuleName } from "../grammar/rules.ts";
import type { ConformDialect } from "./conform-dialect.ts";
import { CONFORM_DIALECTS } from "./dialects.ts";

/** Rules beside those of its streams that only some dialects have. */
const ONLY_WHERE: Readonly<Partial<Record<RuleName, (dialect: ConformDialect) => boolean>>> = {
  "tool-called": (dialect) => dialect.framing === "events",
  "tool-pieces": (dialect) => dialect.streamRules.includes("chat-chunk"),
  "tool-stop": (dialect) => dialect.toolStop !== null,
  "overflow-words": (dialect) => dialect.knowsOverflow !== null,
  "messages-signed": (dialect) => dialect.streamRules.includes("messages-named"),
  "ollama-calls": (dialect) => dialect.framing === "lines",
};

/** The rules that say nothing of a dialect. */
export function foreignRules(dialect: ConformDialect): ReadonlySet<RuleName> {
  const own = new Set<RuleName>(dialect.streamRules);
  const others: RuleName[] = Object.values(CONFORM_DIALECTS).flatMap(
    (one: ConformDialect) => one.streamRules,
  );
  const conditional = Object.entries(ONLY_WHERE) as [RuleName, (dialect: ConformDialect) => boolean][];
  return new Set([
    ...others.filter((rule) => !own.has(rule)),
    ...conditional.flatMap(([rule, holds]) => (holds(dialect) ? [] : [rule])),
  ]);
}
