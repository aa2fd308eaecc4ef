import { compareText } from "../../core/order.ts";
import { DIAGNOSTIC_CODES, type DiagnosticCode } from "./diagnostic-codes.ts";
import { maskSecrets, secretsOf } from "./mask-secrets.ts";
import { visibleText } from "./visible-text.ts";

/** A spot in a fleet file. Lines and columns count from 1; columns count UTF-16 units, as editors do. */
export interface Place {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** A spot that explains a finding elsewhere: the first of two declarations, for example. */
export interface RelatedPlace extends Place {
  readonly message: string;
}

export type DiagnosticSeverity = "error" | "warning";

/** One finding in the fleet files: what is wrong, where, and what to do about it. */
export interface Diagnostic extends Place {
  readonly code: DiagnosticCode;
  readonly severity: DiagnosticSeverity;
  readonly message: string;
  readonly help: string;
  /** The line of the file that the finding points into. */
  readonly sourceLine?: string;
  /** Characters of `sourceLine` that the finding is about. */
  readonly length?: number;
  readonly related?: readonly RelatedPlace[];
}

/** A place together with the text around it, as the source map gives it. */
export interface MarkedPlace extends Place {
  readonly sourceLine?: string;
  readonly length?: number;
}

export interface Finding {
  readonly code: DiagnosticCode;
  readonly at: MarkedPlace;
  readonly message: string;
  /** Replaces the help of the code's table entry when the finder knows better. */
  readonly help?: string;
  readonly related?: readonly RelatedPlace[];
}

/** Completes a finding with what the code table fixes (severity, the usual help) and hides the secrets of its line. */
export function diagnostic(finding: Finding): Diagnostic {
  const entry = DIAGNOSTIC_CODES[finding.code];
  const { file, line, column, length } = finding.at;
  const { sourceLine, message, help } = withoutSecrets({ help: entry.help, ...finding });
  return {
    file: visibleText(file),
    line,
    column,
    code: finding.code,
    severity: entry.severity,
    message: visibleText(message),
    help: visibleText(help),
    ...(sourceLine === undefined ? {} : { sourceLine: visibleText(sourceLine) }),
    ...(length === undefined ? {} : { length }),
    ...(finding.related === undefined || finding.related.length === 0 ? {} : { related: finding.related }),
  };
}

interface ShownTexts {
  readonly sourceLine: string | undefined;
  readonly message: string;
  readonly help: string;
}

/** A finding is printed by CI jobs that anybody may read: nothing of it repeats a secret. */
function withoutSecrets({ at, message, help }: Finding & { readonly help: string }): ShownTexts {
  const { sourceLine } = at;
  if (sourceLine === undefined) return { sourceLine, message: maskSecrets(message), help: maskSecrets(help) };
  const isBareSecret = at.file.endsWith("__HASH");
  const hidden = isBareSecret ? [sourceLine] : secretsOf(sourceLine);
  const told = (text: string): string => maskSecrets(hidden.reduce(withoutOne, text));
  return {
    sourceLine: isBareSecret ? "*".repeat(sourceLine.length) : maskSecrets(sourceLine),
    message: told(message),
    help: told(help),
  };
}

/**
 * Messages repeat the text of a file between quotes, and of a long value the beginning only. A secret may be an English
 * word as well, or a part of one: the words of the message stay, so that it can be read.
 */
function withoutOne(text: string, secret: string): string {
  return text.replaceAll(QUOTED, (quoted) => {
    const shown = quoted.includes(secret) ? secret : cutSecret(quoted, secret);
    return shown === "" ? quoted : quoted.replaceAll(shown, "*".repeat(shown.length));
  });
}

const QUOTED = /"[^"]*"|`[^`]*`|'[^']*'/g;

/** What a value that is cut off shows of a secret at its end. */
function cutSecret(quoted: string, secret: string): string {
  const shown = /^(.*)\.\.\.["'`]$/s.exec(quoted)?.[1] ?? "";
  for (let length = Math.min(secret.length, shown.length); length >= LEAST_SHOWN; length -= 1)
    if (shown.endsWith(secret.slice(0, length))) return secret.slice(0, length);
  return "";
}

/** Fewer characters of a secret tell nobody anything. */
const LEAST_SHOWN = 4;

/** Characters of a long value that a message repeats. */
export const QUOTED_LENGTH = 57;

/** Reading order: by file, line, column, then code. Returns a new array. */
export function sortDiagnostics(diagnostics: readonly Diagnostic[]): Diagnostic[] {
  return diagnostics.toSorted(
    (left, right) =>
      compareText(left.file, right.file) ||
      left.line - right.line ||
      left.column - right.column ||
      compareText(left.code, right.code) ||
      compareText(left.message, right.message),
  );
}
