import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { gzipSync } from "node:zlib";
import { CortexError, systemErrorCode } from "../../../core/errors.ts";
import { pageFilePaths, type PageFilePaths } from "../../../platform/package-paths.ts";
import type { PageFile, PageFiles } from "../page-answer.ts";

const TEXT = "; charset=utf-8";

/** Where each file is asked for, and what it is. */
const SERVED: readonly { readonly at: string; readonly name: keyof PageFilePaths; readonly type: string }[] =
  [
    { at: "/ui", name: "document", type: `text/html${TEXT}` },
    { at: "/ui/app.js", name: "script", type: `text/javascript${TEXT}` },
    { at: "/ui/page.css", name: "style", type: `text/css${TEXT}` },
    { at: "/ui/icon.svg", name: "icon", type: "image/svg+xml" },
  ];

export const PAGE_PATHS: readonly string[] = SERVED.map(({ at }) => at);

/** All files of the page. Throws `route_not_found` where the page was not built. */
export async function readPage(): Promise<PageFiles> {
  const paths = pageFilePaths();
  const files = await Promise.all(
    SERVED.map(async ({ at, name, type }) => [at, await readPageFile(paths[name], type)] as const),
  );
  return new Map(files);
}

async function readPageFile(path: string, type: string): Promise<PageFile> {
  let body: Buffer;
  try {
    body = await readFile(path);
  } catch (thrown) {
    if (systemErrorCode(thrown) !== "ENOENT") throw thrown;
    throw new CortexError("route_not_found", "this gateway runs from source, and its page was not built", {
      next: "npm run build",
      cause: thrown,
    });
  }
  const etag = `"${createHash("sha256").update(body).digest("base64url").slice(0, 22)}"`;
  return { type, body, gzipped: gzipSync(body, { level: 9 }), etag };
}
