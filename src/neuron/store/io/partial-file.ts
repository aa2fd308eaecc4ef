import { mkdir, open, readFile, rename, rm, stat, type FileHandle } from "node:fs/promises";
import { dirname } from "node:path";
import { bytesOnDisk, nextPiece, type Piece } from "../range-plan.ts";
import { decideResume, readJournal, writeJournal, type RemoteFacts } from "../resume.ts";
import { syncDirectory, writeWhole } from "./durable-files.ts";

export const PARTIAL_EXTENSION = ".partial";
export const JOURNAL_EXTENSION = ".partial.json";

/** Bytes between two journals at most: what a process that is killed may have fetched in vain. */
const JOURNAL_EVERY_BYTES = 16 * 1024 * 1024;

/**
 * A file on its way: bytes under `<path>.partial`, how far each piece is under `<path>.partial.json`. The journal
 * never claims more than is safely on disk, so a process that dies at any moment leaves a state to go on from.
 */
export class PartialFile {
  readonly #path: string;
  readonly #handle: FileHandle;
  readonly #remote: RemoteFacts;
  readonly #pieces: Piece[];
  readonly #busy = new Set<number>();
  #unjournalledBytes = 0;
  #journalling: Promise<void> = Promise.resolve();

  private constructor(
    path: string,
    open: { readonly handle: FileHandle; readonly remote: RemoteFacts; readonly pieces: readonly Piece[] },
  ) {
    this.#path = path;
    this.#handle = open.handle;
    this.#remote = open.remote;
    this.#pieces = [...open.pieces];
  }

  /** Goes on with what is kept beside `path`, where it belongs to the file that the server has now. */
  static async open(
    path: string,
    plan: { readonly remote: RemoteFacts; readonly pieceBytes: number },
  ): Promise<PartialFile> {
    await mkdir(dirname(path), { recursive: true });
    const journal = await readFile(path + JOURNAL_EXTENSION, "utf8").then(readJournal, () => null);
    const partialBytes = await stat(path + PARTIAL_EXTENSION).then(
      ({ size }) => size,
      () => 0,
    );
    const decision = decideResume({ journal, partialBytes }, plan);
    if (decision.kind === "start") await PartialFile.discard(path);
    const handle = await open(path + PARTIAL_EXTENSION, decision.kind === "start" ? "w+" : "r+");
    const partial = new PartialFile(path, { handle, remote: plan.remote, pieces: decision.pieces });
    await partial.save();
    return partial;
  }

  static async discard(path: string): Promise<void> {
    await rm(path + JOURNAL_EXTENSION, { force: true });
    await rm(path + PARTIAL_EXTENSION, { force: true });
  }

  get bytesDone(): number {
    return bytesOnDisk(this.#pieces);
  }

  piece(index: number): Piece {
    const piece = this.#pieces[index];
    if (piece === undefined) throw new RangeError(`no piece ${index}`);
    return piece;
  }

  /** The next piece that nobody fetches; null when none is left. */
  take(): number | null {
    const index = nextPiece(this.#pieces, this.#busy);
    if (index < 0) return null;
    this.#busy.add(index);
    return index;
  }

  /** Gives a piece back, whole or not. */
  release(index: number): void {
    this.#busy.delete(index);
  }

  /** Forgets what a piece has: a server without ranges begins from the beginning. */
  rewind(index: number): void {
    const piece = this.piece(index);
    this.#pieces[index] = { ...piece, at: piece.start };
  }

  /** Writes at the end of what the piece has; what goes beyond the piece is left out. */
  async append(index: number, chunk: Uint8Array): Promise<void> {
    const { at, end } = this.piece(index);
    let written = 0;
    const wanted = Math.min(chunk.byteLength, end - at);
    while (written < wanted) {
      const { bytesWritten } = await this.#handle.write(chunk, written, wanted - written, at + written);
      written += bytesWritten;
    }
    this.#pieces[index] = { ...this.piece(index), at: at + written };
    this.#unjournalledBytes += written;
    if (this.#unjournalledBytes >= JOURNAL_EVERY_BYTES) await this.save();
  }

  /** Makes what is written durable, then says so in the journal; saves do not overlap. */
  async save(): Promise<void> {
    this.#unjournalledBytes = 0;
    const saved = this.#journalling.then(() => this.#writeJournal());
    // A save that failed is told to who asked for it; the next one starts anew.
    this.#journalling = saved.catch(() => undefined);
    return saved;
  }

  async #writeJournal(): Promise<void> {
    const { totalBytes, etag, sha256 } = this.#remote;
    // Taken before the sync: what is written during it may not be durable after it.
    const text = writeJournal({ totalBytes, etag, sha256, pieces: this.#pieces });
    await this.#handle.datasync();
    await writeWhole(this.#path + JOURNAL_EXTENSION, text);
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }

  /** The whole file gets its name; it never had it before. */
  async finish(): Promise<void> {
    await this.#handle.sync();
    await this.#handle.close();
    await rename(this.#path + PARTIAL_EXTENSION, this.#path);
    await syncDirectory(dirname(this.#path));
    await rm(this.#path + JOURNAL_EXTENSION, { force: true });
  }
}
