import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { open, readdir, readFile, realpath, stat } from "node:fs/promises";
import { isAbsolute, join, relative, sep } from "node:path";
import { CortexError, systemErrorCode } from "../../../core/errors.ts";
import { nearest } from "../../../core/nearest.ts";
import { compareText } from "../../../core/order.ts";
import { MIB_BYTES } from "../../../core/quantities.ts";
import type { ModelSpec } from "../../../protocol/neuron-api.ts";
import type { ModelShape } from "../estimate-footprint.ts";
import { hasGgufMagic, readModelShape } from "../gguf-header.ts";
import { allShards } from "../shard-names.ts";
import { parseModelSource, type ModelSource } from "../model-source.ts";

/** A file that was found, may be used, and is what it should be. */
interface VerifiedModelFile {
  /** Real path, symbolic links resolved. */
  readonly path: string;
  readonly fileBytes: number;
  readonly shape: ModelShape | null;
}

export interface ModelFiles {
  /**
   * Finds and checks the file of a spec.
   * Throws source_not_found, source_forbidden, source_unsupported, model_file_invalid or checksum_mismatch.
   */
  verify(spec: ModelSpec, signal: AbortSignal): Promise<VerifiedModelFile>;
}

const EXTENSION = ".gguf";
const SIDECAR_EXTENSION = ".sha256";
/** Enough for the figures that files put before their vocabulary. */
const HEADER_BYTES = 256 * 1024;
const LISTED_NAMES = 20;
const LISTING_DEPTH = 2;

/** Model files below `roots`; the first root is the user's own store. */
export function createModelFiles(roots: readonly string[]): ModelFiles {
  const digests = new Map<string, string>();
  return {
    verify: async (spec, signal) => {
      const source = parseModelSource(spec);
      if (!source.ok) throw source.error;
      const path = await locate(source.value, roots);
      const facts = await stat(path, { bigint: true });
      const prefix = await readPrefix(path);
      if (!hasGgufMagic(prefix)) {
        throw new CortexError(
          "model_file_invalid",
          `${path} is not a GGUF file: it does not begin with GGUF`,
        );
      }
      const expected = await expectedDigests(path, spec);
      if (expected.length > 0) {
        const identity = `${path}\0${facts.ino}\0${facts.size}\0${facts.mtimeNs}`;
        const actual = digests.get(identity) ?? (await sha256Of(path, signal));
        digests.set(identity, actual);
        for (const digest of expected) requireDigest(path, { ...digest, actual });
      }
      const fileBytes = Number(facts.size) + (await bytesOfOtherParts(path));
      return { path, fileBytes, shape: readModelShape(prefix) };
    },
  };
}

/** A model in parts is named by its first one, and takes the memory of all. */
async function bytesOfOtherParts(path: string): Promise<number> {
  let bytes = 0;
  for (const part of allShards(path)) {
    if (part === path) continue;
    const facts = await stat(part).catch(() => null);
    if (facts === null)
      throw new CortexError("source_not_found", `${path} is one part of a model, and ${part} is not there`);
    bytes += facts.size;
  }
  return bytes;
}

interface ExpectedDigest {
  readonly pinned: string;
  /** Who says so, in words. */
  readonly by: string;
}

/** The catalogue's pin, and what stands beside the file: `<file>.sha256`, in the form that sha256sum writes. */
async function expectedDigests(path: string, spec: ModelSpec): Promise<readonly ExpectedDigest[]> {
  const sidecarPath = `${path}${SIDECAR_EXTENSION}`;
  const sidecar = await readFile(sidecarPath, "utf8").catch((thrown: unknown) => {
    if (systemErrorCode(thrown) === "ENOENT") return undefined;
    throw thrown;
  });
  const expected: ExpectedDigest[] = [];
  if (spec.sha256 !== undefined) expected.push({ pinned: spec.sha256, by: "the model pins" });
  // A file that is there and says nothing readable fails the comparison: better refused than unchecked.
  if (sidecar !== undefined) {
    const pinned = sidecar.trim().split(/\s+/)[0]?.toLowerCase() ?? "";
    expected.push({ pinned, by: `${sidecarPath} says` });
  }
  return expected;
}

function requireDigest(path: string, digest: ExpectedDigest & { readonly actual: string }): void {
  if (digest.pinned === digest.actual) return;
  throw new CortexError(
    "checksum_mismatch",
    `${path} has sha256 ${digest.actual} and ${digest.by} ${digest.pinned}`,
    { details: { pinned_sha256: digest.pinned, actual_sha256: digest.actual } },
  );
}

async function locate(source: ModelSource, roots: readonly string[]): Promise<string> {
  for (const candidate of candidates(source, roots)) {
    const path = await realFile(candidate);
    if (path === null) continue;
    if (await isInsideARoot(path, roots)) return path;
    throw new CortexError("source_forbidden", `${candidate} leads to ${path}, outside the model roots`, {
      param: "source",
      details: { roots },
    });
  }
  throw await notFound(source, roots);
}

function candidates(source: ModelSource, roots: readonly string[]): readonly string[] {
  if (source.kind === "store") {
    return roots.flatMap((root) => [join(root, source.name), join(root, source.name + EXTENSION)]);
  }
  return isAbsolute(source.path) ? [source.path] : roots.map((root) => join(root, source.path));
}

/** The real path of a regular file, or null when there is none. */
async function realFile(candidate: string): Promise<string | null> {
  try {
    const path = await realpath(candidate);
    return (await stat(path)).isFile() ? path : null;
  } catch (thrown) {
    const errno = systemErrorCode(thrown);
    if (errno === "EACCES") {
      throw new CortexError("source_forbidden", `this neuron's user may not read ${candidate}`, {
        next: "give the neuron's user read access to the file and its directories",
        cause: thrown,
      });
    }
    if (errno === "ENOENT" || errno === "ENOTDIR" || errno === "ELOOP" || errno === "ENAMETOOLONG")
      return null;
    throw thrown;
  }
}

async function isInsideARoot(path: string, roots: readonly string[]): Promise<boolean> {
  for (const root of roots) {
    const realRoot = await realpath(root).catch(() => null);
    if (realRoot === null) continue;
    const below = relative(realRoot, path);
    if (below !== "" && below !== ".." && !below.startsWith(`..${sep}`) && !isAbsolute(below)) return true;
  }
  return false;
}

async function notFound(source: ModelSource, roots: readonly string[]): Promise<CortexError> {
  const wanted = source.kind === "store" ? source.name : source.path;
  if (source.kind === "file" && isAbsolute(wanted) && !(await isBelowByName(wanted, roots))) {
    // Whether a file exists outside the roots is not told.
    return new CortexError("source_forbidden", `file:${wanted} is outside the model roots`, {
      param: "source",
      details: { roots },
    });
  }
  const names = await storedNames(roots);
  const stem = wanted.endsWith(EXTENSION) ? wanted.slice(0, -EXTENSION.length) : wanted;
  const meant = nearest(stem, names);
  const hint = meant === undefined ? "" : `; did you mean ${meant}?`;
  return new CortexError("source_not_found", `no model file ${wanted} in ${roots.join(" or ")}${hint}`, {
    details: { nearest: meant ?? null, searched: roots, available: names.slice(0, LISTED_NAMES) },
  });
}

async function isBelowByName(path: string, roots: readonly string[]): Promise<boolean> {
  for (const root of roots) {
    const real = await realpath(root).catch(() => root);
    if (path.startsWith(root.endsWith(sep) ? root : root + sep) || path.startsWith(real + sep)) return true;
  }
  return false;
}

/** Names as a `source` would give them: without the extension, relative to their root. */
async function storedNames(roots: readonly string[]): Promise<readonly string[]> {
  const names = new Set<string>();
  for (const root of roots) await collectNames(root, { prefix: "", depth: LISTING_DEPTH, names });
  return [...names].toSorted(compareText);
}

async function collectNames(
  directory: string,
  walk: { readonly prefix: string; readonly depth: number; readonly names: Set<string> },
): Promise<void> {
  const entries = await readdir(directory, { withFileTypes: true }).catch(() => []);
  for (const entry of entries) {
    const name = walk.prefix + entry.name;
    if (entry.isDirectory() && walk.depth > 1) {
      await collectNames(join(directory, entry.name), { ...walk, prefix: `${name}/`, depth: walk.depth - 1 });
    } else if (entry.name.endsWith(EXTENSION)) walk.names.add(name.slice(0, -EXTENSION.length));
  }
}

async function readPrefix(path: string): Promise<Uint8Array> {
  const file = await open(path, "r").catch((thrown: unknown) => {
    throw new CortexError("source_forbidden", `this neuron's user may not read ${path}`, { cause: thrown });
  });
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(HEADER_BYTES), 0, HEADER_BYTES, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

async function sha256Of(path: string, signal: AbortSignal): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path, { signal, highWaterMark: MIB_BYTES })) {
    hash.update(chunk as Buffer);
  }
  return hash.digest("hex");
}
