import { nameDiskFull } from "../headroom.ts";
import { mkdir, readFile, stat, statfs, utimes } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../../../core/clock.ts";
import { CortexError, systemErrorCode } from "../../../core/errors.ts";
import { etaSecs, withSample, type RateWindow } from "../download-rate.ts";
import {
  parseRemoteSource,
  type RemoteFile,
  type RemoteSource,
  type ResolvedSource,
  visibleSource,
} from "../resolve-source.ts";
import {
  DOWNLOADS_DIRECTORY,
  readRecord,
  SOURCES_DIRECTORY,
  sourceKey,
  type StoreRecord,
} from "../store-record.ts";
import { resolveRemote } from "./ask-hub.ts";
import { downloadFile, type DownloadLimits, type FileProgress } from "./download-file.ts";
import { sha256Of, writeWhole } from "./durable-files.ts";
import { RemoteHeads, type RemoteModel } from "./remote-heads.ts";
import { createRemoteHttp, type ModelHub, type RemoteHttp } from "./remote-http.ts";
import { SingleFlight } from "./single-flight.ts";
import { lockSource } from "./source-lock.ts";

export interface ModelStoreConfig {
  /** The model root that downloads go into. */
  readonly root: string;
  readonly hub: ModelHub;
  readonly limits?: Partial<DownloadLimits> | undefined;
}

export interface ModelStoreDeps {
  readonly clock: Clock;
  /** Of the file system that holds the directory. */
  readonly freeBytes?: ((directory: string) => Promise<number>) | undefined;
}

/** What a job shows of a download. */
export interface StoreProgress {
  readonly step: "downloading" | "verifying";
  readonly bytesDone: number;
  /** Null until the sizes of all files are known. */
  readonly bytesTotal: number | null;
  readonly etaSecs: number | null;
}

export interface StoredModel {
  /** Absolute; the first part of a set. */
  readonly path: string;
  readonly record: StoreRecord;
}

export interface FetchOptions {
  readonly signal: AbortSignal;
  readonly onProgress?: ((news: StoreProgress) => void) | undefined;
  /** Digest that the first file must have. */
  readonly sha256?: string | undefined;
  /** Ask the source although the store has it: a branch may have moved on. */
  readonly refresh?: boolean | undefined;
}

const MIB = 1024 * 1024;
const DEFAULT_LIMITS: DownloadLimits = {
  connections: 4,
  pieceBytes: 32 * MIB,
  stallMs: 30_000,
  reserveBytes: 1024 * MIB,
  headroomEveryBytes: 64 * MIB,
};
/** Progress is told so often at most: every line of it is a change of the neuron's state. */
const TELL_EVERY_MS = 500;

type Tell = (news: StoreProgress) => void;

interface Wish {
  readonly source: string;
  readonly remote: RemoteSource;
  readonly sha256: string | undefined;
  readonly refresh: boolean;
}

/** Fetches models and keeps them: each source once, however many wait for it. */
export class ModelStore {
  readonly #root: string;
  readonly #hub: ModelHub;
  readonly #http: RemoteHttp;
  readonly #limits: DownloadLimits;
  readonly #clock: Clock;
  readonly #freeBytes: (directory: string) => Promise<number>;
  readonly #heads: RemoteHeads;
  readonly #flights = new SingleFlight<StoredModel, StoreProgress>();
  /** What each download under way has not written yet: room that is promised. */
  readonly #promised = new Map<string, number>();

  constructor(config: ModelStoreConfig, deps: ModelStoreDeps) {
    this.#root = config.root;
    this.#hub = config.hub;
    this.#http = createRemoteHttp(config.hub);
    this.#heads = new RemoteHeads(config.hub, deps);
    this.#limits = { ...DEFAULT_LIMITS, ...config.limits };
    this.#clock = deps.clock;
    this.#freeBytes = deps.freeBytes ?? freeBytesOf;
  }

  /** Null when the source names a file that is here already, or none of the kinds that can be fetched. */
  async fetch(source: string, options: FetchOptions): Promise<StoredModel | null> {
    const remote = parseRemoteSource(source);
    if (!remote.ok) throw remote.error;
    if (remote.value === null) return null;
    const { sha256, refresh = false } = options;
    const wish: Wish = { source, remote: remote.value, sha256, refresh };
    const stored = await this.#flights.join(source, options, (signal, tell) =>
      // A disk can be too full for as little as the lock.
      this.#obtain(wish, signal, tell).catch((thrown: unknown) => {
        throw nameDiskFull(thrown, this.#root);
      }),
    );
    // Whoever joined may pin another digest than the one who began.
    requirePinned(stored, sha256);
    return stored;
  }

  /** What is here of a source, without fetching it and without counting as a use; null as `fetch` says it. */
  async stored(source: string): Promise<StoredModel | "not_fetched" | null> {
    const remote = parseRemoteSource(source);
    if (!remote.ok) throw remote.error;
    if (remote.value === null) return null;
    return (await this.#whole(this.#recordPath(source))) ?? "not_fetched";
  }

  /** What a source tells of a model that is not here; null as `fetch` says it. Throws what `RemoteHeads.inspect` throws. */
  inspectRemote(source: string): Promise<RemoteModel | null> {
    return this.#heads.inspect(source);
  }

  async close(): Promise<void> {
    await this.#heads.close();
    await this.#flights.close();
    await this.#http.close();
  }

  // oxlint-disable-next-line max-params -- what, until when, and whom to tell
  async #obtain(wish: Wish, signal: AbortSignal, tell: Tell): Promise<StoredModel> {
    const recordPath = this.#recordPath(wish.source);
    const known = wish.refresh ? null : await this.#lookUp(recordPath, wish.sha256);
    if (known !== null) return known;
    const lock = await this.#lock(`${recordPath}.lock`, signal);
    try {
      // Another process may have fetched it while the lock was waited for.
      const fetched = wish.refresh ? null : await this.#lookUp(recordPath, wish.sha256);
      if (fetched !== null) return fetched;
      const asking = { http: this.#http, hub: this.#hub, clock: this.#clock, signal };
      const resolved = pinFirst(await resolveRemote(wish.remote, asking), wish);
      const files = await this.#fetchAll(wish.source, resolved, { signal, tell });
      const record: StoreRecord = {
        version: 1,
        source: wish.source,
        revision: resolved.revision,
        fetched_at_ms: this.#clock.nowMs(),
        files,
      };
      await writeWhole(recordPath, `${JSON.stringify(record, undefined, 2)}\n`);
      return this.#stored(record);
    } finally {
      await lock.release();
    }
  }

  async #lock(path: string, signal: AbortSignal): Promise<{ release(): Promise<void> }> {
    try {
      return await lockSource(path, { clock: this.#clock, signal });
    } catch (thrown) {
      const errno = systemErrorCode(thrown);
      if (errno !== "EACCES" && errno !== "EROFS" && errno !== "EPERM") throw thrown;
      throw new CortexError("source_forbidden", `this neuron's user may not write into ${this.#root}`, {
        next: "downloads go into the first model root: give the neuron's user write access to it",
        cause: thrown,
      });
    }
  }

  #recordPath(source: string): string {
    return join(this.#root, SOURCES_DIRECTORY, `${sourceKey(source)}.json`);
  }

  /** What the store has of a source, when all its files are there at their full length and as they are pinned. */
  async #lookUp(recordPath: string, sha256: string | undefined): Promise<StoredModel | null> {
    const stored = await this.#whole(recordPath);
    if (stored === null) return null;
    // Another pin than the file has: what the source has now may be what is pinned.
    if (sha256 !== undefined && stored.record.files[0]?.sha256 !== sha256) return null;
    // Last use is what collection goes by; the files' own times tell when they were made.
    const now = new Date(this.#clock.nowMs());
    await utimes(recordPath, now, now).catch(() => undefined);
    return stored;
  }

  async #whole(recordPath: string): Promise<StoredModel | null> {
    const record = await readFile(recordPath, "utf8").then(readRecord, () => null);
    if (record === null) return null;
    for (const { path, bytes } of record.files) {
      if ((await sizeOf(join(this.#root, path))) !== bytes) return null;
    }
    return this.#stored(record);
  }

  #stored(record: StoreRecord): StoredModel {
    const [first] = record.files;
    if (first === undefined)
      throw new CortexError("internal_error", `${record.source} is kept without a file`);
    return { path: join(this.#root, first.path), record };
  }

  // oxlint-disable-next-line max-params -- whose files, which, and whom to tell
  async #fetchAll(
    source: string,
    resolved: ResolvedSource,
    { signal, tell }: { readonly signal: AbortSignal; readonly tell: Tell },
  ): Promise<StoreRecord["files"]> {
    const progress = new TotalProgress(resolved.files, { clock: this.#clock, tell });
    const files: StoreRecord["files"] = [];
    try {
      for (const [index, file] of resolved.files.entries()) {
        const path = `${DOWNLOADS_DIRECTORY}/${resolved.directory}/${file.name}`;
        const onProgress = (news: FileProgress): void => {
          progress.update(index, news);
          this.#promised.set(source, progress.remainingBytes);
        };
        files.push({ path, ...(await this.#fetchFile(file, { source, path, signal, onProgress })) });
      }
    } finally {
      this.#promised.delete(source);
    }
    return files;
  }

  async #fetchFile(
    file: RemoteFile,
    to: {
      readonly source: string;
      readonly path: string;
      readonly signal: AbortSignal;
      readonly onProgress: (news: FileProgress) => void;
    },
  ): Promise<{ readonly bytes: number; readonly sha256: string }> {
    const path = join(this.#root, to.path);
    const { signal, onProgress } = to;
    const present = await sizeOf(path);
    if (present !== null && present === file.sizeBytes && file.sha256 !== null) {
      // Whole, but its record was lost, or another tag of the repository means the same file.
      onProgress({ step: "verifying", bytesDone: present, bytesTotal: present });
      const sha256 = await sha256Of(path, signal);
      if (sha256 === file.sha256) return { bytes: present, sha256 };
    }
    const promisedBytes = (): number =>
      [...this.#promised].reduce((sum, [source, bytes]) => (source === to.source ? sum : sum + bytes), 0);
    return downloadFile(
      { file, path, signal, onProgress, promisedBytes },
      { clock: this.#clock, http: this.#http, freeBytes: this.#freeBytes, limits: this.#limits },
    );
  }
}

/** The pinned digest is the first file's; a hub that announces another one is believed at once. */
function pinFirst(resolved: ResolvedSource, { source, sha256 }: Wish): ResolvedSource {
  const [first, ...rest] = resolved.files;
  if (sha256 === undefined || first === undefined) return resolved;
  if (first.sha256 !== null && first.sha256 !== sha256) throw pinMismatch(source, sha256, first.sha256);
  return { ...resolved, files: [{ ...first, sha256 }, ...rest] };
}

function requirePinned({ record }: StoredModel, sha256: string | undefined): void {
  const actual = record.files[0]?.sha256;
  if (sha256 !== undefined && actual !== undefined && actual !== sha256)
    throw pinMismatch(record.source, sha256, actual);
}

// oxlint-disable-next-line max-params -- what, and the two sides of the comparison
const pinMismatch = (source: string, pinned: string, actual: string): CortexError =>
  new CortexError(
    "checksum_mismatch",
    `${visibleSource(source)} has sha256 ${actual} and the model pins ${pinned}`,
    {
      details: { pinned_sha256: pinned, actual_sha256: actual },
    },
  );

/** Bytes and rate over all files of a source, told at a pace that a listener can bear. */
class TotalProgress {
  readonly #done: number[];
  readonly #totals: (number | null)[];
  readonly #clock: Clock;
  readonly #tell: Tell;
  #window: RateWindow = [];
  #toldAtMs = Number.NEGATIVE_INFINITY;
  #toldStep: StoreProgress["step"] | null = null;

  constructor(files: readonly RemoteFile[], to: { readonly clock: Clock; readonly tell: Tell }) {
    this.#done = files.map(() => 0);
    this.#totals = files.map(({ sizeBytes }) => sizeBytes);
    this.#clock = to.clock;
    this.#tell = to.tell;
  }

  get remainingBytes(): number {
    return this.#totals.reduce<number>(
      (sum, total, index) => sum + (total ?? 0) - (this.#done[index] ?? 0),
      0,
    );
  }

  update(index: number, { step, bytesDone, bytesTotal }: FileProgress): void {
    this.#done[index] = bytesDone;
    this.#totals[index] = bytesTotal;
    const nowMs = this.#clock.monotonicMs();
    if (step === this.#toldStep && nowMs - this.#toldAtMs < TELL_EVERY_MS) return;
    this.#toldAtMs = nowMs;
    this.#toldStep = step;
    const done = this.#done.reduce((sum, bytes) => sum + bytes, 0);
    this.#window = withSample(this.#window, { atMs: nowMs, bytes: done });
    const isComplete = this.#totals.every((total) => total !== null);
    this.#tell({
      step,
      bytesDone: done,
      bytesTotal: isComplete ? done + this.remainingBytes : null,
      etaSecs: isComplete && step === "downloading" ? etaSecs(this.#window, this.remainingBytes) : null,
    });
  }
}

const sizeOf = (path: string): Promise<number | null> =>
  stat(path).then(
    (facts) => (facts.isFile() ? facts.size : null),
    () => null,
  );

async function freeBytesOf(directory: string): Promise<number> {
  await mkdir(directory, { recursive: true });
  const { bavail, bsize } = await statfs(directory);
  return bavail * bsize;
}
