import type { TomlError } from "smol-toml";
import { diagnostic, type Diagnostic } from "./diagnostics.ts";
import { lineOf, type FleetFile } from "./source-lines.ts";

interface Explanation {
  readonly message?: string;
  readonly help?: string;
  /** Characters that the finding is about. */
  readonly length?: number;
}

/** What the parser stopped at, in words that a person who does not know the parser can act on. */
export function syntaxError(file: FleetFile, error: TomlError): Diagnostic {
  const sourceLine = lineOf(file.text, error.line);
  // smol-toml's message has a drawing of the code below its first line; ours draws its own.
  const said = (error.message.split("\n")[0] ?? "").replace(/^Invalid TOML document: /, "");
  const rest = sourceLine.slice(error.column - 1);
  const { message = said, help, length = 1 } = explain(said, { sourceLine, rest });
  return diagnostic({
    code: "CTX101",
    at: { file: file.path, line: error.line, column: error.column, sourceLine, length },
    message,
    ...(help === undefined ? {} : { help }),
  });
}

function explain(said: string, at: { readonly sourceLine: string; readonly rest: string }): Explanation {
  if (/^(?:<{7}|={7}|>{7}|\|{7})/.test(at.sourceLine)) {
    return {
      message: "a merge conflict is left in the file",
      help: "keep one side, and remove the lines <<<<<<<, ======= and >>>>>>>",
      length: at.sourceLine.length,
    };
  }
  if (said.startsWith("control characters") && at.rest === "") {
    // The parser's own words for a missing quote are about the line break that it met instead.
    return {
      message: "the string is not closed on its line",
      help: "close the quote, or write a long string in three quotes",
    };
  }
  if (said.startsWith("trying to redefine")) return redefinition(at.rest);
  const known = EXPLANATIONS.find(({ words }) => said.includes(words));
  return known ?? {};
}

function redefinition(rest: string): Explanation {
  const name = /^(?:"[^"]*"|'[^']*'|[A-Za-z0-9_-]+)/.exec(rest)?.[0] ?? "";
  return {
    message: name === "" ? "something is set twice" : `\`${name}\` is set twice in this file`,
    help: "keep one of the two: a key stands once in its table, and a table has one header",
    length: Math.max(1, name.length),
  };
}

const EXPLANATIONS: readonly (Explanation & { readonly words: string })[] = [
  {
    words: "unrecognised escape sequence",
    help: "write the text in single quotes, where a backslash is only a backslash",
  },
  { words: "expected end of table array declaration", help: "close it with ]]" },
  { words: "expected end of table declaration", help: "close it with ]" },
  {
    words: "unsafe property",
    message: "`__proto__` and `constructor` cannot be names",
    help: "choose another name",
  },
  {
    words: "cannot be represented losslessly",
    message: "the number is larger than any setting can be",
    help: "write a smaller number",
  },
];
