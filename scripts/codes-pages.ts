import { factsText } from "../src/manual/entry-text.ts";
import {
  ERROR_SECTIONS,
  errorEntry,
  FINDING_LIST,
  findingEntry,
  type CodeEntry,
} from "../src/manual/manual.ts";

/** What to do, as a list. */
const steps = (entry: CodeEntry): string => entry.steps.map((step) => `- ${markdown(step)}`).join("\n");

/** Other pages become links, and words in angle brackets are no HTML. */
const markdown = (text: string): string =>
  text.replaceAll(/docs\/([a-z-]+\.md)/g, "[$1]($1)").replaceAll(/(?<!`[^`]*)(<[a-z]+>)(?![^`]*`)/g, "`$1`");

const section = (entry: CodeEntry, heading: string, facts: string): string =>
  [heading, "", ...(facts === "" ? [] : [facts, ""]), markdown(entry.why), "", steps(entry), ""].join("\n");

export function errorsPage(): string {
  const contents = ERROR_SECTIONS.map(
    ({ title, codes }) => `**${title}**: ${codes.map((code) => `[${code}](#${code})`).join(", ")}.\n`,
  );
  const bodies = ERROR_SECTIONS.flatMap(({ title, codes }) => [
    `## ${title}\n`,
    ...codes.map((code) => {
      const entry = errorEntry(code);
      const facts = entry.error === null ? "" : `${factsText(entry.error)}. Type \`${entry.error.type}\`.`;
      return section(entry, `### ${code}`, facts);
    }),
  ]);
  return `# Errors

Generated from \`src/core/errors.ts\` and \`src/manual\` by \`npm run docs\`. \`cortex explain CODE\` prints the same, without a network.

On the wire every error is \`{"error": {message, type, code, param, next, doc, ...facts}}\`: the OpenAI envelope, with what to do next and
the place on this page. Other dialects have the same beside their own fields. \`Retry-After\` is sent only where trying again can help.
Commands print the message, the next step and \`cortex explain CODE\`, and exit with the code below; with \`--json\` they print
\`{"error": {code, message, next, doc, details}}\` on stdout.

Exit codes: 0 done, 1 failed, 2 changes are pending (\`cortex plan --detailed-exitcode\`), 64 wrong usage,
69 something needed is not available now (try again), 70 a defect of cortex, 130 interrupted.

${contents.join("\n")}
${bodies.join("\n")}`;
}

export function diagnosticsPage(): string {
  const entries = FINDING_LIST.map((code) => findingEntry(code));
  const rows = entries.map(
    ({ code, severity, title }) =>
      `| [${code}](#${code.toLowerCase()}) | ${severity ?? ""} | ${title ?? ""} |`,
  );
  const bodies = entries.map((entry) =>
    section(entry, `### ${entry.code}`, `${entry.severity ?? ""}: ${entry.title ?? ""}.`),
  );
  return `# Diagnostics of fleet files

Generated from \`src/fleet/text/diagnostic-codes.ts\` and \`src/manual\` by \`npm run docs\`. \`cortex explain CTX102\` prints the same, without a network.

\`cortex validate\` reports every finding at once, each with file, line, column, the offending text, a code and what to do.
Codes never change their meaning. Errors stop every command that would act on the fleet; warnings are shown and stop nothing.
Where a finding knows better (a likely spelling, for example), its own help replaces the first one listed here.
Passwords and tokens that a finding meets are shown as asterisks.

| code | severity | title |
|---|---|---|
${rows.join("\n")}

${bodies.join("\n")}`;
}
