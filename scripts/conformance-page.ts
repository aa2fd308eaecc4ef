import { readFileSync } from "node:fs";
import { otherServersSchema } from "../test/client/conform/other-servers.ts";
import { CONFORM_DIALECTS } from "../src/client/conform/dialects.ts";
import { foreignRules } from "../src/client/conform/rules-of-dialect.ts";
import { RULES, type RuleName } from "../src/client/grammar/rules.ts";

/** The rules of `cortex conform`, with the dialects that have them. */
export function conformancePage(): string {
  const dialects = Object.entries(CONFORM_DIALECTS).map(([name, dialect]) => ({
    name,
    foreign: foreignRules(dialect),
  }));
  const rows = (Object.keys(RULES) as RuleName[]).map((rule) => {
    const having = dialects.flatMap(({ name, foreign }) => (foreign.has(rule) ? [] : [name]));
    const where = having.length === dialects.length ? "all" : having.join(", ");
    return `| \`${rule}\` | ${where} | ${RULES[rule]} |`;
  });
  return `# Conformance

Generated from \`src/client/grammar/rules.ts\` by \`npm run docs\`.

\`cortex conform URL --dialect openai|anthropic|responses|ollama\` asks a server what clients ask it and holds it to the rules
below: answers whole and streamed, tools over two turns, answers that a limit cuts, requests that are wrong, clients that leave.
Every stream goes through the grammar of its dialect. \`--cold MODEL\` names a model that is not loaded and looks at what a client
gets meanwhile. It works with any server. One line for each step, then the rules that were broken and those that were not seen;
\`--json\` has all of it; the exit code is 1 where a rule is broken.

Each rule is there because a client was seen to fail, or to ask again, where it was broken (docs/clients.md). A rule is
\`not-seen\` where nothing in the answers could have broken it: a server cannot be made to fail from outside, a model that calls no
tool shows nothing about tools. Tools are demanded where the dialect can do that; Ollama's cannot.

Our own tests run it against a gateway with a real neuron and engine, and against a server that is right but for one planted
fault, for each rule.

| rule | dialects | what is held |
|---|---|---|
${rows.join("\n")}

## Other servers

What it said of servers that are not cortex (\`test/client/conform/keep-report.ts\`), asked with the demo model on a machine of two cores that was busy
with other work: \`alive\`, which is about time, says something of the machine there.

${otherServers()}`;
}

function otherServers(): string {
  const path = new URL("../test/client/conform/other-servers.json", import.meta.url);
  const kept = otherServersSchema.parse(JSON.parse(readFileSync(path, "utf8")));
  const rows = kept.map(({ server, dialect, kept: count, broken, not_seen: unseen }) => {
    const breaches = broken.map(({ rule, seen }) => `\`${rule}\`: ${seen.replaceAll("|", "\\|")}`);
    return `| ${server} | ${dialect} | ${count} | ${breaches.join("<br>")} | ${unseen.length} |`;
  });
  return `| server | dialect | rules kept | rules broken, and where first | not seen |\n|---|---|---|---|---|\n${rows.join("\n")}\n`;
}
