import { DIAGNOSTIC_CODES, type DiagnosticCode } from "./diagnostic-codes.ts";

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

/** Completes a finding with what the code table fixes: severity and the usual help. */
export function diagnostic(finding: Finding): Diagnostic {
  const entry = DIAGNOSTIC_CODES[finding.code];
  const { file, line, column, sourceLine, length } = finding.at;
  return {
    file,
    line,
    column,
    code: finding.code,
    severity: entry.severity,
    message: finding.message,
    help: finding.help ?? entry.help,
    ...(sourceLine === undefined ? {} : { sourceLine }),
    ...(length === undefined ? {} : { length }),
    ...(finding.related === undefined || finding.related.length === 0 ? {} : { related: finding.related }),
  };
}

const compareText = (left: string, right: string): number => (left < right ? -1 : left > right ? 1 : 0);

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
