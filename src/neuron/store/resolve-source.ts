import { createHash } from "node:crypto";
import { z } from "zod";
import { CortexError } from "../../core/errors.ts";
import { parseJson } from "../../core/json.ts";
import { err, ok, type Result } from "../../core/result.ts";
import { parseSource, type HubSource } from "../../fleet/schema/model-source.ts";
import { allShards } from "../model/shard-names.ts";
import { chooseFiles, type ListedFile } from "./choose-files.ts";

/** A source that must be fetched. */
export type RemoteSource = HubSource | { readonly kind: "https"; readonly url: string };

/** One file to fetch, and all that is known of it beforehand. */
export interface RemoteFile {
  readonly url: string;
  /** Below the directory of its source; never climbs. */
  readonly name: string;
  readonly sizeBytes: number | null;
  readonly sha256: string | null;
}

/** A source come down to files. The first one names the model to an engine. */
export interface ResolvedSource {
  /** Below the store's directory of downloads; one per revision, so that revisions do not overwrite each other. */
  readonly directory: string;
  /** The commit that a branch or tag stood for; null where there are no revisions. */
  readonly revision: string | null;
  readonly files: readonly RemoteFile[];
}

/** Reads `source`; null when it names a file that is here, or is none of the kinds that can be fetched. */
export function parseRemoteSource(source: string): Result<RemoteSource | null, CortexError> {
  const parsed = parseSource(source);
  if (!parsed.ok) return ok(null);
  const { value } = parsed;
  if (value.kind === "hf") return ok(value);
  if (value.kind !== "https") return ok(null);
  const { username, password } = new URL(value.url);
  if (username === "" && password === "") return ok(value);
  return err(
    new CortexError("source_unsupported", `source ${visibleUrl(value.url)} carries credentials`, {
      param: "source",
      next: "sources stand in git and in logs: leave the credentials out",
    }),
  );
}

/** For messages and logs: query and credentials may be secrets (signed links). */
export function visibleUrl(url: string): string {
  const { origin, pathname } = new URL(url);
  return origin + pathname;
}

/** A source as messages and logs may have it. */
export function visibleSource(source: string): string {
  const parsed = parseSource(source);
  return parsed.ok && parsed.value.kind === "https" ? visibleUrl(parsed.value.url) : source;
}

export interface Listing {
  readonly commit: string;
  readonly files: readonly ListedFile[];
}

const HEX_SHA256 = /^[0-9a-f]{64}$/;
const modelInfoSchema = z.looseObject({
  sha: z.string().regex(/^[0-9a-f]{40,64}$/),
  siblings: z.array(
    z.looseObject({
      rfilename: z.string(),
      size: z.int().nonnegative().nullish(),
      lfs: z.looseObject({ sha256: z.string().regex(HEX_SHA256).optional() }).nullish(),
    }),
  ),
});

/** Where a hub tells the files of a revision with their sizes and digests. */
export function listingUrl(endpoint: string, { repository, revision }: HubSource): string {
  return `${trimmed(endpoint)}/api/models/${repository}/revision/${encodeURIComponent(revision ?? "main")}?blobs=true`;
}

/** What the hub told; names that climb or could not be a file's are left out. */
export function readListing(body: string): Result<Listing, CortexError> {
  const parsed = modelInfoSchema.safeParse(parseJson(body));
  if (!parsed.success) {
    return err(
      new CortexError("download_failed", "the hub's answer about the repository is not understood", {
        next: "check HF_ENDPOINT: it must speak the API of huggingface.co",
      }),
    );
  }
  const files = parsed.data.siblings
    .filter(({ rfilename }) => isTamePath(rfilename))
    .map(({ rfilename, size, lfs }) => ({
      path: rfilename,
      sizeBytes: size ?? null,
      sha256: lfs?.sha256 ?? null,
    }));
  return ok({ commit: parsed.data.sha, files });
}

export const isTamePath = (path: string): boolean =>
  path !== "" && path.split("/").every((part) => /^[A-Za-z0-9_][A-Za-z0-9._+ ()=,@-]*$/.test(part));

/** The chosen files of a repository, at the commit that was listed. */
export function resolveHubSource(
  endpoint: string,
  source: HubSource,
  listing: Listing,
): Result<ResolvedSource, CortexError> {
  const { repository, file } = source;
  const chosen = chooseFiles(listing.files, { repository, file });
  if (!chosen.ok) return chosen;
  const base = `${trimmed(endpoint)}/${repository}/resolve/${listing.commit}`;
  return ok({
    directory: `hf/${repository}/${listing.commit}`,
    revision: listing.commit,
    files: chosen.value.map(({ path, sizeBytes, sha256 }) => ({
      url: `${base}/${path.split("/").map(encodeURIComponent).join("/")}`,
      name: path,
      sizeBytes,
      sha256,
    })),
  });
}

/** A URL stands for itself; the first part of a set stands for all of them. */
export function resolveUrlSource(url: string): ResolvedSource {
  const parsed = new URL(url);
  const slash = parsed.pathname.lastIndexOf("/") + 1;
  const last = decodeLastPart(parsed.pathname.slice(slash));
  const name = isTamePath(last) && /\.gguf$/i.test(last) ? last : "model.gguf";
  const names = allShards(name);
  const place = createHash("sha256").update(url).digest("hex").slice(0, 16);
  const host = parsed.host.replaceAll(/[^A-Za-z0-9.-]/g, "_");
  return {
    directory: `https/${host}/${place}`,
    revision: null,
    files: names.map((part) => {
      const partUrl = new URL(parsed);
      if (names.length > 1) partUrl.pathname = parsed.pathname.slice(0, slash) + encodeURIComponent(part);
      return { url: partUrl.href, name: part, sizeBytes: null, sha256: null };
    }),
  };
}

function decodeLastPart(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

const trimmed = (endpoint: string): string => endpoint.replace(/\/+$/, "");
