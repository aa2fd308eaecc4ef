/** A stretch of a file that one request fetches: `[start, at)` is on disk, `[at, end)` is still to come. */
export interface Piece {
  readonly start: number;
  readonly end: number;
  readonly at: number;
}

/** Pieces of equal size that tile the file; one for all of it where the server does not support ranges. */
export function planPieces(totalBytes: number, pieceBytes: number): readonly Piece[] {
  const pieces: Piece[] = [];
  for (let start = 0; start < totalBytes; start += pieceBytes) {
    pieces.push({ start, end: Math.min(totalBytes, start + pieceBytes), at: start });
  }
  return pieces;
}

/** Whether the pieces are a state that a download of so many bytes can be in. */
export function tiles(pieces: readonly Piece[], totalBytes: number): boolean {
  let expected = 0;
  for (const { start, end, at } of pieces) {
    if (start !== expected || end <= start || at < start || at > end) return false;
    expected = end;
  }
  return expected === totalBytes;
}

export const bytesOnDisk = (pieces: readonly Piece[]): number =>
  pieces.reduce((sum, { start, at }) => sum + at - start, 0);

/** Index of the first piece that is neither whole nor being fetched; -1 when there is none. */
export const nextPiece = (pieces: readonly Piece[], busy: ReadonlySet<number>): number =>
  pieces.findIndex(({ at, end }, index) => at < end && !busy.has(index));
