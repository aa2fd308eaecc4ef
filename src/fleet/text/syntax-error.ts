import type { TomlError } from "smol-toml";
import { present } from "../../core/present.ts";
import { diagnostic, type Diagnostic } from "./diagnostics.ts";
import type { SourceText } from "./source-lines.ts";
import { explainSyntax } from "./syntax-slips.ts";

/** Where and why the parser stopped. */
export type SyntaxStopAt = Pick<TomlError, "line" | "column" | "message">;

/** What the parser stopped at, in words that a person who does not know the parser can act on. */
export function syntaxError({ file, lines }: SourceText, error: SyntaxStopAt): Diagnostic {
  const sourceLine = lines.line(error.line);
  // smol-toml's message has a drawing of the code below its first line; ours draws its own.
  const said = present(error.message.split("\n")[0], "the first line").replace(
    /^Invalid TOML document: /,
    "",
  );
  const at = error.column - 1;
  const explained = explainSyntax({
    said,
    sourceLine,
    before: sourceLine.slice(0, at),
    rest: sourceLine.slice(at),
  });
  return diagnostic({
    code: "CTX101",
    at: {
      file: file.path,
      line: error.line,
      column: error.column,
      sourceLine,
      length: explained?.length ?? 1,
    },
    message: explained?.message ?? said,
    ...(explained === undefined ? {} : { help: explained.help }),
  });
}
