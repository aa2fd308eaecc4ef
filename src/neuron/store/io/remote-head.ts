import { CortexError } from "../../../core/errors.ts";
import { MIB_BYTES } from "../../../core/quantities.ts";
import { err, ok, type Result } from "../../../core/result.ts";
import { readGgufHead, type GgufHead } from "../../model/gguf-head.ts";
import { broken, downloadError, pieceFailure, readFacts, type AnswerFailure } from "../http-answer.ts";
import { visibleUrl, type RemoteFile } from "../resolve-source.ts";
import { isStrongEtag, type RemoteFacts } from "../resume.ts";
import { delayBeforeNext, type Asking } from "./ask-hub.ts";
import type { RemoteAnswer } from "./remote-http.ts";

/** As of a file that is here, in steps: most heads end within the first, the largest vocabularies within the last. */
const STEPS_BYTES = [1, 8, 64].map((mib) => mib * MIB_BYTES);

interface Prefix {
  readonly bytes: Buffer;
  readonly remote: RemoteFacts;
}

/**
 * The head of a file and its length, by ranges: what a server that knows none sends beyond is not read. Throws
 * model_file_invalid, and what a download would.
 */
export async function readRemoteHead(
  file: RemoteFile,
  asking: Asking,
): Promise<{ readonly head: GgufHead; readonly totalBytes: number }> {
  let prefix: Prefix | null = null;
  for (const length of STEPS_BYTES) {
    prefix = await readOn(file, prefix, { ...asking, length });
    const { bytes, remote } = prefix;
    const head = readGgufHead(bytes);
    if (head === null) {
      const message = `${visibleUrl(file.url)} is not a GGUF file: it does not begin with GGUF`;
      throw new CortexError("model_file_invalid", message);
    }
    const isLast = length === STEPS_BYTES.at(-1) || bytes.length >= remote.totalBytes;
    if (head.tensors !== null || isLast) return { head, totalBytes: remote.totalBytes };
  }
  throw new CortexError("internal_error", "the head of a file has no first step");
}

type Step = Asking & { readonly length: number };

/** Tries again where that may help; a file that changes on the way is begun anew. */
async function readOn(file: RemoteFile, known: Prefix | null, step: Step): Promise<Prefix> {
  let from = known;
  for (let tries = 1; ; tries += 1) {
    const read = await readOnce(file, from, step);
    if (!("failure" in read)) return read;
    const { failure } = read;
    from = failure.kind === "changed" ? null : from;
    const delayMs = failure.kind === "changed" && tries === 1 ? 0 : delayBeforeNext(failure, tries, step);
    if (delayMs === null) throw downloadError(failure, visibleUrl(file.url));
    await step.clock.sleep(delayMs, step.signal);
  }
}

async function readOnce(
  file: RemoteFile,
  known: Prefix | null,
  step: Step,
): Promise<Prefix | { readonly failure: AnswerFailure }> {
  const { http, signal, length } = step;
  // A server without ranges sends all from the beginning, whatever is asked for.
  const before = known?.remote.hasRanges === true ? known : null;
  let answer: RemoteAnswer | undefined;
  try {
    answer = await http.get(file.url, { headers: headersFor(before, length), signal });
    const facts = judge(answer, before, step);
    if (!facts.ok) return { failure: facts.error };
    requireAnnounced(file, facts.value);
    return await takePiece(answer, before, { remote: facts.value, length });
  } catch (thrown) {
    signal.throwIfAborted();
    if (thrown instanceof CortexError) throw thrown;
    return { failure: broken(thrown instanceof Error ? thrown.message : "no answer") };
  } finally {
    await answer?.discard();
  }
}

function judge(
  answer: RemoteAnswer,
  before: Prefix | null,
  { clock, length: end }: Step,
): Result<RemoteFacts, AnswerFailure> {
  if (before === null) return readFacts(answer, clock.nowMs());
  const { remote, bytes } = before;
  const failure = pieceFailure(answer, { start: bytes.length, end, remote }, clock.nowMs());
  return failure === null ? ok(remote) : err(failure);
}

async function takePiece(
  { body }: RemoteAnswer,
  before: Prefix | null,
  { remote, length }: { readonly remote: RemoteFacts; readonly length: number },
): Promise<Prefix | { readonly failure: AnswerFailure }> {
  const wanted = Math.min(length, remote.totalBytes) - (before?.bytes.length ?? 0);
  const bytes = await readBytes(body, wanted);
  if (bytes.length < wanted) return { failure: broken("the answer ended before what it announced") };
  return { bytes: before === null ? bytes : Buffer.concat([before.bytes, bytes]), remote };
}

function headersFor(before: Prefix | null, length: number): Record<string, string> {
  const etag = before?.remote.etag ?? null;
  return {
    range: `bytes=${before?.bytes.length ?? 0}-${length - 1}`,
    ...(isStrongEtag(etag) ? { "if-range": etag } : {}),
  };
}

/** Whoever lies about the length once does not tell how large the model is. */
function requireAnnounced(file: RemoteFile, { totalBytes }: RemoteFacts): void {
  if (file.sizeBytes === null || file.sizeBytes === totalBytes) return;
  throw new CortexError(
    "download_failed",
    `${visibleUrl(file.url)} has ${totalBytes} bytes, and ${file.sizeBytes} are announced`,
  );
}

async function readBytes(body: AsyncIterable<Uint8Array>, most: number): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  if (most > 0) {
    for await (const chunk of body) {
      chunks.push(chunk);
      length += chunk.byteLength;
      if (length >= most) break;
    }
  }
  return Buffer.concat(chunks).subarray(0, most);
}
