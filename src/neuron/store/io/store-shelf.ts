import { readdir, readFile, rm, stat, statfs } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../../../core/clock.ts";
import { by } from "../../../core/order.ts";
import type {
  StoreCollection,
  StoreItem,
  StoreListing,
  StoreVerification,
} from "../../../protocol/store-report.ts";
import { collectionOrder, type Collectable, type CollectionWish } from "../collection.ts";
import { DOWNLOADS_DIRECTORY, readRecord, SOURCES_DIRECTORY, type StoreRecord } from "../store-record.ts";
import { sha256Of } from "./durable-files.ts";
import { JOURNAL_EXTENSION, PARTIAL_EXTENSION } from "./partial-file.ts";
import { isHeldElsewhere } from "./source-lock.ts";

interface KeptRecord {
  readonly path: string;
  readonly record: StoreRecord;
  readonly lastUsedMs: number;
}

interface ShelfItem extends Collectable {
  readonly item: StoreItem;
  readonly recordPath: string | null;
  /** Below the root. */
  readonly files: readonly string[];
}

/** What was downloaded below a model root: models by source, partial files, and files that nothing refers to. */
export async function listStore(root: string): Promise<StoreListing> {
  const items = (await readShelf(root)).map(({ item }) => item);
  const free = await statfs(root).catch(() => null);
  return {
    root,
    items,
    total_bytes: items.reduce((sum, { bytes }) => sum + bytes, 0),
    free_bytes: free === null ? null : free.bavail * free.bsize,
  };
}

/** Removes what `collectionOrder` says. A file that another source means too stays until that one goes. */
export async function collectStore(
  root: string,
  wish: Omit<CollectionWish, "nowMs"> & { readonly dryRun: boolean },
  clock: Clock,
): Promise<StoreCollection> {
  const shelf = await readShelf(root);
  const going = collectionOrder(shelf, { ...wish, nowMs: clock.nowMs() });
  const staying = new Set(shelf.filter((item) => !going.includes(item)).flatMap(({ files }) => files));
  if (!wish.dryRun) {
    for (const { recordPath, files } of going) {
      // The record first: a model without its record is an orphan, one without its file would be a broken promise.
      if (recordPath !== null) await rm(recordPath, { force: true });
      for (const file of files) {
        if (staying.has(file)) continue;
        await rm(join(root, file), { force: true });
        await rm(join(root, withoutExtension(file) + JOURNAL_EXTENSION), { force: true });
      }
    }
  }
  return {
    root,
    removed: going.map(({ item }) => item),
    freed_bytes: going.reduce((sum, { bytes }) => sum + bytes, 0),
    dry_run: wish.dryRun,
  };
}

/** Reads every downloaded model to its end and compares it with what came. */
export async function verifyStore(root: string, signal: AbortSignal): Promise<StoreVerification> {
  const checked: StoreVerification["checked"][number][] = [];
  for (const { record } of await readRecords(root)) {
    for (const file of record.files) {
      const path = join(root, file.path);
      checked.push({ source: record.source, file: path, problem: await problemOf(path, file, signal) });
    }
  }
  return { root, checked };
}

// oxlint-disable-next-line max-params -- a file, and what it should be
async function problemOf(
  path: string,
  expected: StoreRecord["files"][number],
  signal: AbortSignal,
): Promise<string | null> {
  const facts = await stat(path).catch(() => null);
  if (facts === null) return "is gone";
  if (facts.size !== expected.bytes) return `has ${facts.size} bytes, not ${expected.bytes}`;
  const actual = await sha256Of(path, signal);
  return actual === expected.sha256 ? null : `has sha256 ${actual}, not ${expected.sha256}`;
}

async function readRecords(root: string): Promise<readonly KeptRecord[]> {
  const directory = join(root, SOURCES_DIRECTORY);
  const names = await readdir(directory).catch(() => []);
  const records: KeptRecord[] = [];
  for (const name of names) {
    if (!name.endsWith(".json")) continue;
    const path = join(directory, name);
    const record = readRecord(await readFile(path, "utf8").catch(() => ""));
    const facts = await stat(path).catch(() => null);
    if (record !== null && facts !== null) records.push({ path, record, lastUsedMs: facts.mtimeMs });
  }
  return records.toSorted(by(({ record }) => record.source));
}

/** Some process is at work on a source: which partial file is its own is not told, so all of them are left alone. */
async function isDownloading(root: string): Promise<boolean> {
  const directory = join(root, SOURCES_DIRECTORY);
  for (const name of await readdir(directory).catch(() => [])) {
    if (name.endsWith(".lock") && (await isHeldElsewhere(join(directory, name)))) return true;
  }
  return false;
}

async function readShelf(root: string): Promise<readonly ShelfItem[]> {
  const records = await readRecords(root);
  const claimed = new Set(records.flatMap(({ record }) => record.files.map(({ path }) => path)));
  const models = records.map(({ path, record, lastUsedMs }) => ({
    ...describe(root, record.source, {
      kind: "model",
      bytes: record.files.reduce((sum, { bytes }) => sum + bytes, 0),
      lastUsedMs,
      files: record.files.map((file) => file.path),
      revision: record.revision,
    }),
    recordPath: path,
    inUse: false,
  }));
  const inUse = await isDownloading(root);
  const strays: ShelfItem[] = [];
  for (const path of await filesBelow(root, DOWNLOADS_DIRECTORY)) {
    if (claimed.has(path) || path.endsWith(JOURNAL_EXTENSION)) continue;
    const facts = await stat(join(root, path)).catch(() => null);
    if (facts === null) continue;
    const kind = path.endsWith(PARTIAL_EXTENSION) ? "partial" : "orphan";
    // A partial file has its final length early: what it takes on the disk is what counts.
    const bytes = kind === "partial" ? Math.min(facts.size, facts.blocks * 512) : facts.size;
    const told = { kind, bytes, lastUsedMs: facts.mtimeMs, files: [path], revision: null } as const;
    strays.push({ ...describe(root, path, told), recordPath: null, inUse });
  }
  return [...models, ...strays];
}

// oxlint-disable-next-line max-params -- where, which, and what of it
function describe(
  root: string,
  name: string,
  told: {
    readonly kind: StoreItem["kind"];
    readonly bytes: number;
    readonly lastUsedMs: number;
    readonly files: readonly string[];
    readonly revision: string | null;
  },
): Omit<ShelfItem, "recordPath" | "inUse"> {
  const { kind, bytes, lastUsedMs, files, revision } = told;
  const paths = files.map((file) => join(root, file));
  const item = { name, kind, bytes, last_used_ms: Math.round(lastUsedMs), files: paths, revision };
  return { name, kind, bytes, lastUsedMs, files, item };
}

async function filesBelow(root: string, directory: string): Promise<readonly string[]> {
  const found: string[] = [];
  for (const entry of await readdir(join(root, directory), { withFileTypes: true }).catch(() => [])) {
    const path = `${directory}/${entry.name}`;
    if (path === SOURCES_DIRECTORY) continue;
    if (entry.isDirectory()) found.push(...(await filesBelow(root, path)));
    else if (entry.isFile()) found.push(path);
  }
  return found.toSorted();
}

const withoutExtension = (path: string): string =>
  path.endsWith(PARTIAL_EXTENSION) ? path.slice(0, -PARTIAL_EXTENSION.length) : path;
