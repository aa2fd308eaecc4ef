import { z } from "zod";
import { parseJson } from "../../core/json.ts";
import { planPieces, tiles, type Piece } from "./range-plan.ts";

/** What a server says of a file before it is fetched. */
export interface RemoteFacts {
  readonly totalBytes: number;
  /** As sent, quotes and `W/` included. */
  readonly etag: string | null;
  readonly sha256: string | null;
  /** The server answers a range with that range. */
  readonly hasRanges: boolean;
}

/** What is kept beside a partial file, so that a later process can tell whether and where to go on. */
export interface Journal {
  readonly totalBytes: number;
  readonly etag: string | null;
  readonly sha256: string | null;
  readonly pieces: readonly Piece[];
}

export type ResumeDecision =
  | { readonly kind: "resume"; readonly pieces: readonly Piece[] }
  | { readonly kind: "start"; readonly pieces: readonly Piece[]; readonly why: string };

export const isStrongEtag = (etag: string | null): etag is string => etag !== null && /^"[^"]*"$/.test(etag);

/**
 * Whether the bytes that are kept belong to the file that the server has now. The same digest says so, and the
 * same strong ETag; a weak one does not (RFC 9110, 13.1.5: it may stand for other bytes). In doubt all is fetched
 * again: a file made of two versions is worse than a second download.
 */
export function decideResume(
  kept: { readonly journal: Journal | null; readonly partialBytes: number },
  { remote, pieceBytes }: { readonly remote: RemoteFacts; readonly pieceBytes: number },
): ResumeDecision {
  const start = (why: string): ResumeDecision => ({
    kind: "start",
    why,
    pieces: planPieces(remote.totalBytes, remote.hasRanges ? pieceBytes : Math.max(1, remote.totalBytes)),
  });
  const { journal, partialBytes } = kept;
  if (journal === null) return start("nothing is kept");
  if (!remote.hasRanges) return start("the server does not support ranges");
  if (journal.totalBytes !== remote.totalBytes) return start("the file has another length now");
  if (!tiles(journal.pieces, journal.totalBytes)) return start("the journal is damaged");
  const reached = Math.max(
    0,
    ...journal.pieces.filter(({ at, start: from }) => at > from).map(({ at }) => at),
  );
  if (partialBytes < reached) return start("the partial file is shorter than its journal says");
  if (journal.sha256 !== null && remote.sha256 !== null) {
    return journal.sha256 === remote.sha256
      ? { kind: "resume", pieces: journal.pieces }
      : start("the file has another digest now");
  }
  if (!isStrongEtag(remote.etag)) return start("the server gives no strong ETag");
  return journal.etag === remote.etag
    ? { kind: "resume", pieces: journal.pieces }
    : start("the file has another ETag now");
}

const offset = z.int().nonnegative();
const journalSchema = z.object({
  version: z.literal(1),
  total_bytes: offset,
  etag: z.string().nullable(),
  sha256: z.string().nullable(),
  pieces: z.array(z.tuple([offset, offset, offset])),
});

export function writeJournal({ totalBytes, etag, sha256, pieces }: Journal): string {
  const rows = pieces.map(({ start, end, at }): [number, number, number] => [start, end, at]);
  return JSON.stringify({ version: 1, total_bytes: totalBytes, etag, sha256, pieces: rows });
}

/** Null for what no version of this program wrote: then nothing is kept. */
export function readJournal(text: string): Journal | null {
  const parsed = journalSchema.safeParse(parseJson(text));
  if (!parsed.success) return null;
  const { total_bytes: totalBytes, etag, sha256, pieces } = parsed.data;
  return { totalBytes, etag, sha256, pieces: pieces.map(([start, end, at]) => ({ start, end, at })) };
}
