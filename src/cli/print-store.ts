import { formatBytes, formatDuration } from "../core/quantities.ts";
import type {
  PulledModel,
  StoreCollection,
  StoreItem,
  StoreListing,
  StoreVerification,
} from "../protocol/store-report.ts";

/** One line for each thing in the store, biggest worry last: what it is, what it takes, when it was used. */
export function printStoreListing(listing: StoreListing, nowMs: number): string {
  const { root, items, total_bytes: totalBytes, free_bytes: freeBytes } = listing;
  const free = freeBytes === null ? "" : `, ${formatBytes(freeBytes)} free`;
  if (items.length === 0) return `Nothing was downloaded into ${root}${free}.`;
  return [
    ...items.map((item) => itemLine(item, nowMs)),
    `${formatBytes(totalBytes)} in ${root}${free}.`,
  ].join("\n");
}

function itemLine({ name, kind, bytes, last_used_ms: lastUsedMs }: StoreItem, nowMs: number): string {
  const age = formatDuration(Math.max(0, nowMs - lastUsedMs));
  return `${formatBytes(bytes).padStart(9)}  ${kind.padEnd(7)}  ${name}  (used ${age} ago)`;
}

export function printCollection(collection: StoreCollection, nowMs: number): string {
  const { root, removed, freed_bytes: freedBytes, dry_run: dryRun } = collection;
  if (removed.length === 0) return `Nothing to remove in ${root}.`;
  const verb = dryRun ? "Would free" : "Freed";
  return [...removed.map((item) => itemLine(item, nowMs)), `${verb} ${formatBytes(freedBytes)}.`].join("\n");
}

export function printVerification({ root, checked }: StoreVerification): string {
  const bad = checked.filter(({ problem }) => problem !== null);
  const lines = bad.map(({ source, file, problem }) => `${source}: ${file} ${problem ?? ""}`);
  return [
    ...lines,
    `${checked.length - bad.length} of ${checked.length} files in ${root} are what came.`,
  ].join("\n");
}

export function printPulled({ source, revision, path, files }: PulledModel): string {
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  const parts = files.length === 1 ? "" : ` in ${files.length} parts`;
  const at = revision === null ? "" : ` at ${revision.slice(0, 12)}`;
  return `${source}${at}: ${formatBytes(bytes)}${parts}, ${path}`;
}
