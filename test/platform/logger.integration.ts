import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";

const logger = new URL("../../src/platform/logger.ts", import.meta.url).href;

/** What a process of its own says on stderr, as messages. */
function messagesOf(script: string): unknown[] {
  const program = `import { createLogger } from ${JSON.stringify(logger)};
const logger = createLogger({ name: "test", level: "info", gathersLines: true });
${script}`;
  const { stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", program], {
    encoding: "utf8",
  });
  return stderr
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => (JSON.parse(line) as { readonly msg: unknown }).msg);
}

test.each([
  ["that goes on", `logger.info("one"); logger.info("two"); setTimeout(() => logger.info("three"), 1);`],
  ["that exits", `logger.info("one"); logger.info("two"); logger.info("three"); process.exit(1);`],
  [
    "that nobody caught",
    `logger.info("one"); logger.info("two"); logger.info("three"); throw new Error("x");`,
  ],
])("no gathered line of a process %s is lost, and their order is kept", (_, script) => {
  expect(messagesOf(script)).toEqual(["one", "two", "three"]);
});
