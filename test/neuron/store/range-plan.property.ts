import fc from "fast-check";
import { expect, test } from "vitest";
import {
  bytesOnDisk,
  nextPiece,
  planPieces,
  tiles,
  type Piece,
} from "../../../src/neuron/store/range-plan.ts";
import { decideResume, readJournal, writeJournal } from "../../../src/neuron/store/resume.ts";

test("whatever order pieces are fetched and broken off in, every byte is fetched once and the journal goes on", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 5000 }),
      fc.integer({ min: 1, max: 700 }),
      fc.infiniteStream(fc.nat({ max: 400 })),
      (totalBytes, pieceBytes, steps) => {
        const remote = { totalBytes, etag: '"e"', sha256: null, hasRanges: true };
        let pieces: Piece[] = [...planPieces(totalBytes, pieceBytes)];
        const fetched = new Uint8Array(totalBytes);
        let resumed = true;
        for (let busy = new Set<number>(); bytesOnDisk(pieces) < totalBytes;) {
          const index = nextPiece(pieces, busy);
          if (index < 0) {
            // All that is left is being fetched: the process dies and the next one reads the journal.
            const text = writeJournal({ totalBytes, etag: '"e"', sha256: null, pieces });
            const kept = { journal: readJournal(text), partialBytes: totalBytes };
            const decision = decideResume(kept, { remote, pieceBytes });
            resumed &&= decision.kind === "resume";
            pieces = [...decision.pieces];
            busy = new Set();
            continue;
          }
          busy.add(index);
          const piece = pieces[index] as Piece;
          const at = Math.min(piece.end, piece.at + 1 + (steps.next().value as number));
          for (let byte = piece.at; byte < at; byte += 1) fetched[byte] = (fetched[byte] ?? 0) + 1;
          pieces[index] = { ...piece, at };
          expect(tiles(pieces, totalBytes)).toBe(true);
        }
        expect(resumed).toBe(true);
        expect(fetched.every((times) => times === 1)).toBe(true);
      },
    ),
  );
});
