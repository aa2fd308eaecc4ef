import { compareText } from "../core/order.ts";

interface Note {
  readonly file: string;
  readonly line: number | null;
  readonly what: string;
  readonly reason: string;
}

/** What an import { compareText } from "../core/order.ts";
import brought, and line by line what it could not. */
export function printImportNotes(
  notes: readonly Note[],
  brought: { readonly models: number; readonly neurons: number },
): string {
  const carried = `Carried over: ${count(brought.neurons, "neuron")}, ${count(brought.models, "model")}.`;
  if (notes.length === 0) return `${carried} Nothing was left behind.`;
  const sorted = notes.toSorted(
    (left, right) => compareText(left.file, right.file) || (left.line ?? 0) - (right.line ?? 0),
  );
  const lines = sorted.map(({ file, line, what, reason }) => {
    const place = line === null ? file : `${file}:${line}`;
    return `  ${place}  ${what}\n      ${reason}`;
  });
  return [carried, `Not carried over (${notes.length}):`, ...lines].join("\n");
}

const count = (amount: number, noun: string): string => `${amount} ${noun}${amount === 1 ? "" : "s"}`;
