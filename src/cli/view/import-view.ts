import { compareText } from "../../core/order.ts";
import type { Diagnostic } from "../../fleet/text/diagnostics.ts";
import { printDiagnostics } from "../print/print-diagnostics.ts";
import type { Look, View } from "./view.ts";

interface Note {
  readonly file: string;
  readonly line: number | null;
  readonly what: string;
  readonly reason: string;
  readonly lost_model?: string | undefined;
}

interface ImportReport {
  readonly files: readonly { readonly path: string; readonly text: string }[];
  readonly models: number;
  readonly neurons: number;
  readonly not_carried: readonly Note[];
  readonly diagnostics: readonly Diagnostic[];
}

/** Where the files were written. */
interface Written {
  readonly out: string;
  readonly paths: readonly string[];
}

/** The files themselves, for a pipe, or what was written and what is worth knowing about it. */
export function importView<Report extends ImportReport>(
  report: Report,
  written: Written | undefined,
): View<Report & { readonly out: string | null }> {
  return {
    json: { ...report, out: written?.out ?? null },
    human: (look) =>
      written === undefined
        ? report.files.map(({ path, text }) => `# ---- ${path}\n${text}`).join("\n")
        : [
            `Made ${written.paths.join(" and ")}.`,
            importRemarks(report, look),
            `Next: cortex validate ${written.out}, cortex plan --config ${written.out}; cortex init ${written.out} adds CI and a README`,
          ].join("\n"),
  };
}

/** What `cortex validate` finds in the result, and what was left behind. */
export function importRemarks(report: ImportReport, look: Look): string {
  const { diagnostics, not_carried, models, neurons } = report;
  const notes = printImportNotes(not_carried, { models, neurons });
  return diagnostics.length === 0 ? notes : `\n${printDiagnostics(diagnostics, look)}\n\n${notes}`;
}

/** So many places of one reason are named; a file of 300 models has thousands. */
const PLACES_SHOWN = 5;

/**
 * What an import brought and what it could not: first the models that are left out, each with its reason, then
 * settings by their reason, the rarest first, because what stands at every model is seldom news.
 */
export function printImportNotes(
  notes: readonly Note[],
  brought: { readonly models: number; readonly neurons: number },
): string {
  const carried = `Carried over: ${count(brought.neurons, "neuron")}, ${count(brought.models, "model")}.`;
  if (notes.length === 0) return `${carried} Nothing was left behind.`;
  const sorted = notes.toSorted(
    (left, right) => compareText(left.file, right.file) || (left.line ?? 0) - (right.line ?? 0),
  );
  const lost = sorted.filter(({ lost_model: model }) => model !== undefined);
  const settings = sorted.filter(({ lost_model: model }) => model === undefined);
  return [carried, ...lostLines(lost), ...settingLines(settings)].join("\n");
}

function lostLines(lost: readonly Note[]): string[] {
  if (lost.length === 0) return [];
  const lines = lost.flatMap((note) => [
    `  ${placeOf(note)}  ${note.lost_model ?? ""}`,
    `      ${note.reason}`,
  ]);
  return ["", `Left out: ${count(lost.length, "model")}.`, ...lines];
}

function settingLines(settings: readonly Note[]): string[] {
  if (settings.length === 0) return [];
  const groups = [...Map.groupBy(settings, ({ reason }) => reason)].toSorted(
    ([, left], [, right]) => left.length - right.length,
  );
  const lines = groups.flatMap(([reason, notes]) => {
    const shown = notes.slice(0, PLACES_SHOWN).map((note) => `      ${placeOf(note)}  ${note.what}`);
    const more = notes.length - shown.length;
    return [
      `  ${reason}`,
      ...shown,
      ...(more === 0 ? [] : [`      and ${more} more; --json lists them all`]),
    ];
  });
  return ["", `Not carried over: ${count(settings.length, "setting")}, by reason.`, ...lines];
}

const placeOf = ({ file, line }: Note): string => (line === null ? file : `${file}:${line}`);

const count = (amount: number, noun: string): string => `${amount} ${noun}${amount === 1 ? "" : "s"}`;
