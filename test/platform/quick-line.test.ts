import { pino } from "pino";
import { expect, test } from "vitest";
import { logQuickly, quoted } from "../../src/platform/logger.ts";

function logging(level: string) {
  const lines: string[] = [];
  const options = { level, base: { name: "gateway" }, timestamp: () => `,"time":"now"` };
  return { logger: pino(options, { write: (line: string) => void lines.push(line) }), lines };
}

test("a quick line is the line that pino writes", () => {
  const { logger, lines } = logging("info");
  logger.info({ request_id: "a", model: 'q"uo\\te\n', status: 200, stream: false }, "request");
  const fields = `,"request_id":${quoted("a")},"model":${quoted('q"uo\\te\n')},"status":200,"stream":false`;
  logQuickly(logger, fields, "request");
  expect(lines[1]).toBe(lines[0]);
});

test("and is left out where pino would leave it out", () => {
  const { logger, lines } = logging("warn");
  logQuickly(logger, `,"status":200`, "request");
  expect(lines).toStrictEqual([]);
});

test.each([
  "plain text, [with] {brackets}",
  'a "quote"',
  "a \\ back slash",
  "tab\t",
  "ümlaut",
  "\u007F",
  "\uD800",
  "",
])("%j is quoted as JSON has it", (text) => {
  expect(quoted(text)).toBe(JSON.stringify(text));
});
