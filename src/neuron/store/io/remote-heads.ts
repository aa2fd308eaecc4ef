import type { Clock } from "../../../core/clock.ts";
import { CortexError, toCortexError } from "../../../core/errors.ts";
import { withinGrace } from "../../../core/interruptible-sleep.ts";
import type { ModelShape } from "../../model/estimate-footprint.ts";
import { modelShapeOf } from "../../model/gguf-header.ts";
import type { GgufHead } from "../../model/gguf-head.ts";
import {
  parseRemoteSource,
  visibleSource,
  visibleUrl,
  type RemoteFile,
  type RemoteSource,
} from "../resolve-source.ts";
import { resolveRemote } from "./ask-hub.ts";
import { readRemoteHead } from "./remote-head.ts";
import { createRemoteHttp, type ModelHub, type RemoteHttp } from "./remote-http.ts";

/** A model that is not here, as its source tells: what an estimate needs, without its weights. */
export interface RemoteModel {
  /** Where the first file is, for people. */
  readonly path: string;
  /** Of all files. */
  readonly fileBytes: number;
  readonly shape: ModelShape | null;
}

/** What came of a read, until when it is believed. */
interface Known {
  readonly outcome: { readonly model: RemoteModel } | { readonly failure: CortexError };
  readonly untilMs: number;
}

/** How long whoever asks is kept waiting; the read goes on for the next one. */
const PATIENCE_MS = 3_000;
/** All of a source, retries and waiting for a busy server included. */
const READ_TIMEOUT_MS = 60_000;
/** A branch may move on, and a file be put in the place of another. */
const KEPT_MS = 10 * 60_000;
/** Who mends a source or a token wants to see it soon. */
const FAILURE_KEPT_MS = 10_000;
/** What passes quickly is waited for; for more somebody asks again. */
const MOST_TRIES = 2;
const MOST_KEPT = 256;
const MOST_READS = 4;
const MOST_WAITING = 64;
/** A model in more parts than any that is known. */
const MOST_FILES = 200;

/** Reads the heads of models where they come from: each source once, few at a time, and remembered for a while. */
export class RemoteHeads {
  readonly #hub: ModelHub;
  readonly #http: RemoteHttp;
  readonly #clock: Clock;
  readonly #known = new Map<string, Known>();
  readonly #reading = new Map<string, Promise<void>>();
  readonly #queue: (() => void)[] = [];
  readonly #closing = new AbortController();
  #running = 0;

  constructor(hub: ModelHub, { clock }: { readonly clock: Clock }) {
    this.#hub = hub;
    this.#http = createRemoteHttp(hub);
    this.#clock = clock;
  }

  /**
   * Null for a source that names nothing to fetch. Throws what a download of it would throw, and download_failed while
   * the answer is awaited longer than somebody should wait.
   */
  async inspect(source: string): Promise<RemoteModel | null> {
    const remote = parseRemoteSource(source);
    if (!remote.ok) throw remote.error;
    if (remote.value === null) return null;
    if (this.#fresh(source) === undefined) {
      const reading = this.#reading.get(source) ?? this.#start(source, remote.value);
      await withinGrace(reading, { clock: this.#clock, graceMs: PATIENCE_MS });
    }
    const known = this.#fresh(source);
    if (known === undefined) {
      throw new CortexError(
        "download_failed",
        `the size of ${visibleSource(source)} is being read from its source`,
        {
          retryAfterSecs: PATIENCE_MS / 1000,
          next: "ask again in a moment, or `cortex pull` it",
        },
      );
    }
    if ("failure" in known.outcome) throw known.outcome.failure;
    return known.outcome.model;
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.all(this.#reading.values());
    await this.#http.close();
  }

  #fresh(source: string): Known | undefined {
    const known = this.#known.get(source);
    return known !== undefined && this.#clock.monotonicMs() < known.untilMs ? known : undefined;
  }

  #start(source: string, remote: RemoteSource): Promise<void> {
    if (this.#queue.length >= MOST_WAITING) {
      throw new CortexError("download_failed", `the sizes of ${MOST_WAITING} other models are being read`, {
        retryAfterSecs: PATIENCE_MS / 1000,
      });
    }
    const reading = this.#readInTurn(source, remote).finally(() => this.#reading.delete(source));
    this.#reading.set(source, reading);
    return reading;
  }

  /** Never rejects: what went wrong is kept like what was found. */
  async #readInTurn(source: string, remote: RemoteSource): Promise<void> {
    if (this.#running >= MOST_READS) await new Promise<void>((resolve) => this.#queue.push(resolve));
    else this.#running += 1;
    try {
      const model = await this.#read(remote);
      this.#keep(source, { outcome: { model }, untilMs: this.#clock.monotonicMs() + KEPT_MS });
    } catch (thrown) {
      const failure = withoutDownload(toCortexError(thrown));
      this.#keep(source, { outcome: { failure }, untilMs: this.#clock.monotonicMs() + FAILURE_KEPT_MS });
    } finally {
      const next = this.#queue.shift();
      if (next === undefined) this.#running -= 1;
      else next();
    }
  }

  #keep(source: string, known: Known): void {
    this.#known.delete(source);
    this.#known.set(source, known);
    for (const oldest of [...this.#known.keys()].slice(0, Math.max(0, this.#known.size - MOST_KEPT)))
      this.#known.delete(oldest);
  }

  async #read(remote: RemoteSource): Promise<RemoteModel> {
    const bound = new AbortController();
    const ended = new AbortController();
    const signal = AbortSignal.any([bound.signal, this.#closing.signal]);
    const timer = this.#clock.sleep(READ_TIMEOUT_MS, ended.signal).then(
      () => bound.abort(),
      () => undefined,
    );
    try {
      const asking = {
        http: this.#http,
        hub: this.#hub,
        clock: this.#clock,
        signal,
        mostTries: MOST_TRIES,
      };
      const { files } = await resolveRemote(remote, asking);
      if (files.length > MOST_FILES)
        throw new CortexError("download_failed", `a model in ${files.length} files is not understood`);
      const heads: { readonly head: GgufHead; readonly totalBytes: number }[] = [];
      for (const file of files) heads.push(await readRemoteHead(file, asking));
      return assemble(files, heads);
    } catch (thrown) {
      if (!bound.signal.aborted) throw thrown;
      throw new CortexError("download_failed", "its source did not tell its size in time", { cause: thrown });
    } finally {
      ended.abort();
      await timer;
    }
  }
}

/** Nothing was fetched, so there is nothing to go on with. */
const withoutDownload = (failure: CortexError): CortexError =>
  failure.code === "download_failed"
    ? new CortexError(failure.code, failure.message, {
        details: failure.details,
        ...(failure.retryAfterSecs === undefined ? {} : { retryAfterSecs: failure.retryAfterSecs }),
        next: "see that this neuron reaches the source (HF_ENDPOINT, a proxy), then ask again",
        cause: failure,
      })
    : failure;

/** Like the files of a model that is here: the first has the figures, all have weights. */
function assemble(
  files: readonly RemoteFile[],
  heads: readonly { readonly head: GgufHead; readonly totalBytes: number }[],
): RemoteModel {
  const shape = heads[0] === undefined ? null : modelShapeOf(heads[0].head);
  const weights = heads.flatMap(({ head: { tensors } }) => (tensors === null ? [] : [tensors]));
  return {
    path: files[0] === undefined ? "" : visibleUrl(files[0].url),
    fileBytes: heads.reduce((sum, { totalBytes }) => sum + totalBytes, 0),
    shape: shape === null ? null : { ...shape, weights: weights.length === heads.length ? weights : null },
  };
}
