import { readdirSync, readFileSync } from "node:fs";
import { parse, TomlError } from "smol-toml";
import { expect, test } from "vitest";
import { explainSyntax, KNOWN_WORDS, type SyntaxStop } from "../../../src/fleet/text/syntax-slips.ts";

const sources = new URL(".", import.meta.resolve("smol-toml"));
const parserSource = readdirSync(sources)
  .filter((name) => name.endsWith(".js"))
  .map((name) => readFileSync(new URL(name, sources), "utf8"))
  .join("\n");

test.each([...KNOWN_WORDS, "control characters"])("the parser still says %j", (words) => {
  expect(parserSource).toContain(words);
});

function stopOf(line: string): SyntaxStop {
  try {
    parse(line);
  } catch (thrown) {
    if (!(thrown instanceof TomlError)) throw thrown;
    const at = thrown.column - 1;
    return { said: thrown.message, sourceLine: line, before: line.slice(0, at), rest: line.slice(at) };
  }
  throw new Error(`${line} is TOML`);
}

/** As if the parser said nothing about it. */
const silentStop = (line: string): SyntaxStop => ({ ...stopOf(line), said: "" });

test.each([
  ["replicas = yes", "`yes` is not a TOML value"],
  ["replicas = # soon", "`replicas` has no value"],
  ["replicas == 1", "put one equals sign between a key and its value"],
  ["vram_mb = $24", "`$24` is not a number"],
  ["id = qwen", "text needs quotes"],
  ["capabilities = [text]", "text needs quotes"],
  ['source = "C:\\models"', "`\\m` is not a valid escape"],
  ["<<<<<<< HEAD", "a merge conflict is left in the file"],
])("%s is explained by its text alone", (line, message) => {
  expect(explainSyntax(silentStop(line))?.message).toBe(message);
});

test.each([
  ["[neurons", "the header of the table is not closed", "close it with ]"],
  ["[[neurons", "the header of the block is not closed", "close it with ]]"],
  ["replicas", "there is no equals sign after the name", "write `replicas = value`"],
  ["limit = {", "a list or an inline table is not closed", "close it with ] or }"],
])("%s at the end of a file: %s", (line, message, help) => {
  expect(explainSyntax(stopOf(line))).toMatchObject({ message, help });
});

test("an even number of backslashes escapes nothing", () => {
  const line = String.raw`source = "a\\b`;
  expect(explainSyntax(silentStop(line))).toBeUndefined();
});
