import { ERROR_TABLE, errorDoc, errorKind, isErrorCode, type ErrorCode } from "../core/errors.ts";
import { nearest } from "../core/nearest.ts";
import { DIAGNOSTIC_CODES, type DiagnosticCode } from "../fleet/text/diagnostic-codes.ts";
import type { Explained } from "./explained.ts";
import { FINDING_CODES } from "./finding-codes.ts";
import { OPERATOR_CODES } from "./operator-codes.ts";
import { REQUEST_CODES } from "./request-codes.ts";
import { RUNNING_CODES } from "./running-codes.ts";

/** What there is to say of a code: `cortex explain CODE` prints it, docs/errors.md and docs/diagnostics.md hold it. */
export interface CodeEntry {
  readonly code: string;
  /** Of a finding in fleet files; null for an error, whose code says it. */
  readonly title: string | null;
  readonly why: string;
  /** The table's next step first. */
  readonly steps: readonly string[];
  /** Null for a finding: it has no answer and no end of a process of its own. */
  readonly error: ErrorFacts | null;
  /** "error" or "warning" of a finding; null for an error. */
  readonly severity: "error" | "warning" | null;
  /** Where it stands in the documentation. */
  readonly doc: string;
}

export interface ErrorFacts {
  readonly httpStatus: number;
  readonly exitCode: number;
  readonly type: string;
  readonly retryable: boolean;
}

/** Sections of docs/errors.md, each with its codes; the compiler sees to it that no code is left out or invented. */
export const ERROR_SECTIONS = [
  { title: "Requests: what a client sent, or may not do", codes: codesOf(REQUEST_CODES) },
  { title: "The fleet: what it cannot do now, and what broke", codes: codesOf(RUNNING_CODES) },
  { title: "Commands: what stands in their way", codes: codesOf(OPERATOR_CODES) },
] as const;

export const FINDING_LIST = Object.keys(DIAGNOSTIC_CODES) as readonly DiagnosticCode[];

const EXPLAINED: Readonly<Record<ErrorCode, Explained>> = {
  ...REQUEST_CODES,
  ...RUNNING_CODES,
  ...OPERATOR_CODES,
};

export function errorEntry(code: ErrorCode): CodeEntry {
  const { httpStatus, exitCode, type, retryable, next } = errorKind(code);
  const { why, steps } = EXPLAINED[code];
  const error = { httpStatus, exitCode, type, retryable };
  const doc = errorDoc(code);
  return { code, title: null, why, steps: [sentence(next), ...steps], error, severity: null, doc };
}

export function findingEntry(code: DiagnosticCode): CodeEntry {
  const { title, severity, help } = DIAGNOSTIC_CODES[code];
  const { why, steps } = FINDING_CODES[code];
  const doc = `docs/diagnostics.md#${code.toLowerCase()}`;
  return { code, title, why, steps: [sentence(help), ...steps], error: null, severity, doc };
}

/** The entry of a code, however its letters are written; undefined for what is no code. */
export function findEntry(word: string): CodeEntry | undefined {
  const asError = word.toLowerCase();
  if (isErrorCode(asError)) return errorEntry(asError);
  const asFinding = word.toUpperCase();
  return isFinding(asFinding) ? findingEntry(asFinding) : undefined;
}

/** The code that was probably meant; undefined where the word is like none. */
export const nearestCode = (word: string): string | undefined =>
  nearest(word, [...Object.keys(ERROR_TABLE), ...FINDING_LIST]);

const isFinding = (word: string): word is DiagnosticCode => Object.hasOwn(DIAGNOSTIC_CODES, word);

const sentence = (text: string): string =>
  `${text.slice(0, 1).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;

function codesOf<Codes extends Readonly<Partial<Record<ErrorCode, Explained>>>>(
  codes: Codes,
): readonly (keyof Codes & ErrorCode)[] {
  return Object.keys(codes) as (keyof Codes & ErrorCode)[];
}
