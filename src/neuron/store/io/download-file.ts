import { open, stat } from "node:fs/promises";
import { dirname } from "node:path";
import type { Clock } from "../../../core/clock.ts";
import { CortexError, systemErrorCode } from "../../../core/errors.ts";
import { formatBytes } from "../../../core/quantities.ts";
import { hasGgufMagic } from "../../model/gguf-head.ts";
import { headroomFailure, nameDiskFull } from "../headroom.ts";
import {
  broken,
  downloadError,
  pieceFailure,
  readFacts,
  retryDelayMs,
  type AnswerFailure,
} from "../http-answer.ts";
import { visibleUrl, type RemoteFile } from "../resolve-source.ts";
import { isStrongEtag, type RemoteFacts } from "../resume.ts";
import { sha256Of } from "./durable-files.ts";
import { PARTIAL_EXTENSION, PartialFile } from "./partial-file.ts";
import type { RemoteAnswer, RemoteHttp } from "./remote-http.ts";

export interface DownloadLimits {
  readonly connections: number;
  readonly pieceBytes: number;
  /** A connection that brings nothing for so long is given up; at most twice that passes. */
  readonly stallMs: number;
  /** What must stay free on the disk. */
  readonly reserveBytes: number;
  /** Bytes between two looks at the free space. */
  readonly headroomEveryBytes: number;
}

export interface DownloadDeps {
  readonly clock: Clock;
  readonly http: RemoteHttp;
  readonly freeBytes: (directory: string) => Promise<number>;
  readonly limits: DownloadLimits;
}

export interface DownloadOrder {
  readonly file: RemoteFile;
  /** Where the whole file is put. */
  readonly path: string;
  readonly signal: AbortSignal;
  readonly onProgress: (news: FileProgress) => void;
  /** Bytes that other downloads were promised and have not written yet. */
  readonly promisedBytes: () => number;
}

export interface FileProgress {
  readonly step: "downloading" | "verifying";
  readonly bytesDone: number;
  readonly bytesTotal: number;
}

export interface DownloadedFile {
  readonly bytes: number;
  readonly sha256: string;
}

/** A file that changes on the server while it is fetched is begun anew so often. */
const MAX_RESTARTS = 2;

/** An answer that cannot be used, on its way to where it is decided what follows from it. */
class UselessAnswer extends Error {
  readonly failure: AnswerFailure;

  constructor(failure: AnswerFailure) {
    super(failure.message);
    this.failure = failure;
  }
}

/**
 * Fetches one file, or what is missing of it: several ranges side by side, each tried again where it broke off, all
 * of one version of the file. The final name is given last, after length, digest and magic are right.
 */
export async function downloadFile(order: DownloadOrder, deps: DownloadDeps): Promise<DownloadedFile> {
  const place = visibleUrl(order.file.url);
  for (let restarts = 0; ; restarts += 1) {
    try {
      return await new FileDownload(order, deps).run();
    } catch (thrown) {
      order.signal.throwIfAborted();
      if (!(thrown instanceof UselessAnswer)) throw nameDiskFull(thrown, dirname(order.path));
      if (thrown.failure.kind !== "changed" || restarts === MAX_RESTARTS)
        throw downloadError(thrown.failure, place);
    }
  }
}

class FileDownload {
  readonly #order: DownloadOrder;
  readonly #deps: DownloadDeps;
  #uncheckedBytes = 0;

  constructor(order: DownloadOrder, deps: DownloadDeps) {
    this.#order = order;
    this.#deps = deps;
  }

  async run(): Promise<DownloadedFile> {
    const { path, file } = this.#order;
    const remote = await this.#askFacts();
    if (file.sizeBytes !== null && file.sizeBytes !== remote.totalBytes) {
      throw new CortexError(
        "download_failed",
        `${visibleUrl(file.url)} has ${remote.totalBytes} bytes, and ${file.sizeBytes} are announced`,
      );
    }
    const sha256 = file.sha256 ?? remote.sha256;
    const known = { ...remote, sha256 };
    const partial = await PartialFile.open(path, { remote: known, pieceBytes: this.#deps.limits.pieceBytes });
    try {
      await this.#requireHeadroom(remote.totalBytes - partial.bytesDone);
      await this.#fetchPieces(partial, known);
      const actual = await this.#check(known);
      await partial.finish();
      return { bytes: remote.totalBytes, sha256: actual };
    } catch (thrown) {
      await partial.close().catch(() => undefined);
      throw thrown;
    }
  }

  /** The first byte alone tells length, version, and whether ranges are known. */
  async #askFacts(): Promise<RemoteFacts> {
    const { clock } = this.#deps;
    return this.#retrying(async (signal) => {
      const answer = await this.#deps.http.get(this.#order.file.url, {
        headers: { range: "bytes=0-0" },
        signal,
      });
      await answer.discard();
      const facts = readFacts(answer, clock.nowMs());
      if (!facts.ok) throw new UselessAnswer(facts.error);
      return facts.value;
    });
  }

  /** As many connections as there are pieces to share; the first that fails for good ends the others. */
  async #fetchPieces(partial: PartialFile, remote: RemoteFacts): Promise<void> {
    const failed = new AbortController();
    const signal = AbortSignal.any([this.#order.signal, failed.signal]);
    const connect = async (): Promise<void> => {
      for (let index = partial.take(); index !== null; index = partial.take()) {
        try {
          await this.#fetchPiece(partial, { index, remote, signal });
          await partial.save();
        } catch (thrown) {
          failed.abort(thrown);
          throw thrown;
        } finally {
          partial.release(index);
        }
      }
    };
    this.#tell(partial, remote);
    const connections = Array.from({ length: this.#deps.limits.connections }, connect);
    const ends = await Promise.allSettled(connections);
    await partial.save();
    this.#order.signal.throwIfAborted();
    if (failed.signal.aborted) throw failed.signal.reason;
    for (const end of ends) if (end.status === "rejected") throw end.reason;
  }

  async #fetchPiece(
    partial: PartialFile,
    {
      index,
      remote,
      signal,
    }: { readonly index: number; readonly remote: RemoteFacts; readonly signal: AbortSignal },
  ): Promise<void> {
    const isWhole = (): boolean => partial.piece(index).at === partial.piece(index).end;
    let before = partial.piece(index).at;
    while (!isWhole()) {
      await this.#retrying(
        async (attempt, touch) => {
          await this.#readRange(partial, { index, remote, signal: attempt, touch });
          if (!isWhole()) throw new UselessAnswer(broken("the connection ended too early"));
        },
        signal,
        () => {
          const after = partial.piece(index).at;
          const moved = remote.hasRanges && after > before;
          before = after;
          return moved;
        },
      );
    }
  }

  async #readRange(
    partial: PartialFile,
    at: {
      readonly index: number;
      readonly remote: RemoteFacts;
      readonly signal: AbortSignal;
      readonly touch: () => void;
    },
  ): Promise<void> {
    const { index, remote, signal } = at;
    if (!remote.hasRanges) partial.rewind(index);
    const { at: start, end } = partial.piece(index);
    const answer = await this.#deps.http.get(this.#order.file.url, {
      headers: remote.hasRanges ? rangeHeaders(start, end, remote) : {},
      signal,
    });
    const failure = pieceFailure(answer, { start, end, remote }, this.#deps.clock.nowMs());
    if (failure !== null) {
      await answer.discard();
      throw new UselessAnswer(failure);
    }
    for await (const chunk of chunksOf(answer)) {
      at.touch();
      signal.throwIfAborted();
      await partial.append(index, chunk);
      await this.#watchDisk(remote.totalBytes - partial.bytesDone, chunk.byteLength);
      this.#tell(partial, remote);
    }
  }

  /**
   * Runs `attempt` until it succeeds, fails for good, or was in vain too often. An attempt of which nothing is heard
   * for the stall time is given up; `touch` says that something was heard.
   */
  // oxlint-disable-next-line max-params -- what is tried, until when, and what counts as getting on
  async #retrying<Value>(
    attempt: (signal: AbortSignal, touch: () => void) => Promise<Value>,
    signal: AbortSignal = this.#order.signal,
    movedOn: () => boolean = () => false,
  ): Promise<Value> {
    const { clock, limits } = this.#deps;
    for (let tries = 1; ; tries += 1) {
      try {
        return await withStallWatch({ clock, stallMs: limits.stallMs, signal }, attempt);
      } catch (thrown) {
        signal.throwIfAborted();
        const failure = thrown instanceof UselessAnswer ? thrown.failure : networkFailure(thrown);
        if (failure === null) throw thrown;
        if (movedOn()) tries = 1;
        const delayMs = retryDelayMs(failure, tries);
        if (delayMs === null) throw new UselessAnswer(failure);
        await clock.sleep(delayMs, signal);
      }
    }
  }

  async #watchDisk(neededBytes: number, written: number): Promise<void> {
    this.#uncheckedBytes += written;
    if (this.#uncheckedBytes < this.#deps.limits.headroomEveryBytes) return;
    await this.#requireHeadroom(neededBytes);
  }

  async #requireHeadroom(neededBytes: number): Promise<void> {
    this.#uncheckedBytes = 0;
    const directory = dirname(this.#order.path);
    const failure = headroomFailure({
      freeBytes: await this.#deps.freeBytes(directory),
      neededBytes,
      promisedBytes: this.#order.promisedBytes(),
      reserveBytes: this.#deps.limits.reserveBytes,
      directory,
    });
    if (failure !== null) throw failure;
  }

  /** Length, digest, magic: a file that fails is thrown away, since nobody can tell which bytes are wrong. */
  async #check(remote: RemoteFacts): Promise<string> {
    const { path, signal, onProgress, file } = this.#order;
    const whole = path + PARTIAL_EXTENSION;
    onProgress({ step: "verifying", bytesDone: remote.totalBytes, bytesTotal: remote.totalBytes });
    const { size } = await stat(whole);
    const actual = await sha256Of(whole, signal);
    const failure =
      size !== remote.totalBytes
        ? new CortexError(
            "download_failed",
            `${path}: ${formatBytes(size)} were written, not ${remote.totalBytes} B`,
          )
        : remote.sha256 !== null && remote.sha256 !== actual
          ? new CortexError(
              "checksum_mismatch",
              `${visibleUrl(file.url)} came with sha256 ${actual}, and ${remote.sha256} is expected`,
              {
                details: { pinned_sha256: remote.sha256, actual_sha256: actual },
                next: "what came was thrown away: try again; when it repeats, the source or the pin is wrong",
              },
            )
          : (await startsLikeGguf(whole))
            ? null
            : new CortexError(
                "model_file_invalid",
                `${visibleUrl(file.url)} is not a GGUF file: it does not begin with GGUF`,
                { next: "mend `source`: it must lead to a GGUF file, not to a page about it" },
              );
    if (failure === null) return actual;
    await PartialFile.discard(path);
    throw failure;
  }

  #tell(partial: PartialFile, remote: RemoteFacts): void {
    const { onProgress } = this.#order;
    onProgress({ step: "downloading", bytesDone: partial.bytesDone, bytesTotal: remote.totalBytes });
  }
}

// oxlint-disable-next-line max-params -- a range, and of what
function rangeHeaders(start: number, end: number, { etag }: RemoteFacts): Readonly<Record<string, string>> {
  return { range: `bytes=${start}-${end - 1}`, ...(isStrongEtag(etag) ? { "if-range": etag } : {}) };
}

/** The body; what breaks it off is a failure of the network, unlike what its reader throws. */
async function* chunksOf(answer: RemoteAnswer): AsyncGenerator<Uint8Array> {
  try {
    yield* answer.body;
  } finally {
    await answer.discard();
  }
}

/** Errors of the transport are worth another try; those of the disk and our own are not. */
function networkFailure(thrown: unknown): AnswerFailure | null {
  if (thrown instanceof CortexError) return null;
  const code = systemErrorCode(thrown);
  if (typeof code !== "string") return thrown instanceof Error ? broken(thrown.message) : null;
  if (["ENOSPC", "EDQUOT", "EIO", "EROFS", "EACCES", "EBADF", "EFBIG"].includes(code)) return null;
  return broken(`no answer, or a broken one (${code})`);
}

async function startsLikeGguf(path: string): Promise<boolean> {
  const handle = await open(path, "r");
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(4), 0, 4, 0);
    return hasGgufMagic(buffer.subarray(0, bytesRead));
  } finally {
    await handle.close();
  }
}

/** Ends `attempt` with a failure when it was not touched for between one and two stall times. */
async function withStallWatch<Value>(
  watch: { readonly clock: Clock; readonly stallMs: number; readonly signal: AbortSignal },
  attempt: (signal: AbortSignal, touch: () => void) => Promise<Value>,
): Promise<Value> {
  const stalled = new AbortController();
  const done = new AbortController();
  let touches = 0;
  const watching = (async (): Promise<void> => {
    for (let seen = -1; seen !== touches;) {
      seen = touches;
      await watch.clock.sleep(watch.stallMs, done.signal);
    }
    stalled.abort(new UselessAnswer(broken(`nothing came for ${Math.round(watch.stallMs / 1000)} s`)));
  })().catch(() => undefined);
  try {
    return await attempt(AbortSignal.any([watch.signal, stalled.signal]), () => {
      touches += 1;
    });
  } catch (thrown) {
    throw stalled.signal.aborted && !watch.signal.aborted ? stalled.signal.reason : thrown;
  } finally {
    done.abort();
    await watching;
  }
}
