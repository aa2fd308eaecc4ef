import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { open, readdir, readFile, realpath, stat } from "node:fs/promises";
import { isAbsolute, join, relative, sep } from "node:path";
import { CortexError, systemErrorCode } from "../../../core/errors.ts";
import { nearest } from "../../../core/nearest.ts";
import { compareText } from "../../../core/order.ts";
import { present } from "../../../core/present.ts";
import { MIB_BYTES } from "../../../core/quantities.ts";
import type { ModelSpec } from "../../../protocol/neuron-api.ts";
import type { ModelShape } from "../estimate-footprint.ts";
import { readGgufHead, type GgufHead } from "../gguf-head.ts";
import { modelShapeOf } from "../gguf-header.ts";
import { allShards } from "../shard-names.ts";
import { parseModelSource, type ModelSource } from "../model-source.ts";

/** A file that was found, may be used, and is what it should be. */
export interface ModelFileFacts {
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
  verify(spec: ModelSpec, signal: AbortSignal): Promise<ModelFileFacts>;
  /** Finds the file and reads its header, which costs little; whether the file is whole is not looked at. */
  inspect(spec: ModelSpec): Promise<ModelFileFacts>;
}

const EXTENSION = ".gguf";
const SIDECAR_EXTENSION = ".sha256";
/** A header is read in steps: most end within the first, the largest vocabularies within the last. */
const HEADER_STEPS_BYTES = [1, 16, 128].map((mib) => mib * MIB_BYTES);
const LISTED_NAMES = 20;
const LISTING_DEPTH = 2;

/** Model files below `roots`; the first root is the user's own store. */
export function createModelFiles(roots: readonly string[]): ModelFiles {
  const digests = new Map<string, string>();
  const inspected = new Map<string, ModelFileFacts>();
  const inspect = async (spec: ModelSpec): Promise<InspectedFile> => {
    const source = parseModelSource(spec);
    if (!source.ok) throw source.error;
    const path = await locate(source.value, roots);
    const identity = await identityOf(path);
    const facts = inspected.get(identity) ?? (await readFacts(path));
    inspected.set(identity, facts);
    return { facts, identity };
  };
  return {
    inspect: async (spec) => (await inspect(spec)).facts,
    verify: async (spec, signal) => {
      const { facts, identity } = await inspect(spec);
      const { path } = facts;
      const expected = await expectedDigests(path, spec);
      if (expected.length > 0) {
        const actual = digests.get(identity) ?? (await sha256Of(path, signal));
        digests.set(identity, actual);
        for (const digest of expected) requireDigest(path, { ...digest, actual });
      }
      return facts;
    },
  };
}

interface InspectedFile {
  readonly facts: ModelFileFacts;
  /** The same as long as nobody writes to a file of the model. */
  readonly identity: string;
}

/** All parts of the model, each with what changes when somebody writes to it. */
async function identityOf(path: string): Promise<string> {
  const parts = await Promise.all(
    allShards(path).map(async (part) => {
      const facts = await stat(part, { bigint: true }).catch(() => null);
      if (facts === null) throw missingPart(path, part);
      return `${part}\0${facts.ino}\0${facts.size}\0${facts.mtimeNs}`;
    }),
  );
  return parts.join("\0");
}

const missingPart = (path: string, part: string): CortexError =>
  new CortexError("source_not_found", `${path} is one part of a model, and ${part} is not there`);

/** A model in parts is named by its first one, has its figures there, and takes the memory of all. */
async function readFacts(path: string): Promise<ModelFileFacts> {
  const parts = allShards(path);
  const heads = await Promise.all(parts.map(readHead));
  const sizes = await Promise.all(parts.map(async (part) => (await stat(part)).size));
  const first = heads[parts.indexOf(path)] ?? heads[0];
  const shape = first === undefined ? null : modelShapeOf(first);
  const weights = heads.flatMap(({ tensors }) => (tensors === null ? [] : [tensors]));
  return {
    path,
    fileBytes: sizes.reduce((sum, size) => sum + size, 0),
    shape: shape === null ? null : { ...shape, weights: weights.length === parts.length ? weights : null },
  };
}

/** Reads on until the list of tensors is whole, or the file is stranger than any that is known. */
async function readHead(path: string): Promise<GgufHead> {
  let head: GgufHead | null = null;
  for (const length of HEADER_STEPS_BYTES) {
    const prefix = await readPrefix(path, length);
    head = readGgufHead(prefix);
    const { length: read } = prefix;
    // What was read of it are copies. Left to the collector, 16 MiB would stay for as long as a neuron has little to do.
    prefix.buffer.resize(0);
    if (head === null) {
      throw new CortexError("model_file_invalid", `${path} is not a GGUF file: it does not begin with GGUF`);
    }
    if (head.tensors !== null || read < length) break;
  }
  return present(head, "the head of a file");
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
    const what = candidate === path ? `${path} is` : `${candidate} leads to ${path},`;
    throw new CortexError("source_forbidden", `${what} outside the model roots`, {
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

/**
 * Into a buffer that can be resized, whose pages come from the system itself: what glibc's malloc has given once and got back, it
 * takes as the size of what the program keeps using, and returns nothing smaller any more. In the threads that compile, 13 MiB stayed.
 */
async function readPrefix(path: string, length: number): Promise<Uint8Array<ArrayBuffer>> {
  const file = await open(path, "r").catch((thrown: unknown) => {
    throw new CortexError("source_forbidden", `this neuron's user may not read ${path}`, { cause: thrown });
  });
  try {
    const buffer = new ArrayBuffer(length, { maxByteLength: length });
    const { bytesRead } = await file.read(new Uint8Array(buffer), 0, length, 0);
    return new Uint8Array(buffer, 0, bytesRead);
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
