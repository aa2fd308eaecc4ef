import { present } from "./present.ts";

const cell = (row: readonly number[], column: number): number =>
  present(row[column], "the edit distance of column", column);

// oxlint-disable-next-line max-params -- two words and a place in their table
const isSwap = (left: string, right: string, row: number, column: number): boolean =>
  row > 1 && column > 1 && left[row - 1] === right[column - 2] && left[row - 2] === right[column - 1];

/** Edit distance with transpositions (optimal string alignment): a swapped pair of letters is one mistake. */
export function editDistance(left: string, right: string): number {
  let beforePrevious: number[] = [];
  let previous = Array.from({ length: right.length + 1 }, (_, column) => column);
  for (let row = 1; row <= left.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= right.length; column += 1) {
      const substitution = left[row - 1] === right[column - 1] ? 0 : 1;
      const steps = [
        cell(previous, column) + 1,
        cell(current, column - 1) + 1,
        cell(previous, column - 1) + substitution,
      ];
      if (isSwap(left, right, row, column)) steps.push(cell(beforePrevious, column - 2) + 1);
      current.push(Math.min(...steps));
    }
    beforePrevious = previous;
    previous = current;
  }
  return cell(previous, right.length);
}

/** The candidate a person most likely meant, or undefined when none is within a third of its length. */
export function nearest(wanted: string, candidates: readonly string[]): string | undefined {
  let best: { readonly candidate: string; readonly distance: number } | undefined;
  for (const candidate of candidates) {
    const distance = editDistance(wanted.toLowerCase(), candidate.toLowerCase());
    const allowed = Math.max(1, Math.floor(Math.max(wanted.length, candidate.length) / 3));
    if (distance <= allowed && (best === undefined || distance < best.distance))
      best = { candidate, distance };
  }
  return best?.candidate;
}
