import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Clock } from "../../../src/core/clock.ts";
import { downloadFile, type FileProgress } from "../../../src/neuron/store/io/download-file.ts";
import { createRemoteHttp } from "../../../src/neuron/store/io/remote-http.ts";
import { eventually } from "../../support/eventually.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import {
  digestOf,
  modelBytes,
  startFileServer,
  type Behaviour,
  type SeenRequest,
} from "../../support/neuron/file-server.ts";

const KIB = 1024;
const BODY = modelBytes(300 * KIB);
const OTHER_BODY = modelBytes(300 * KIB, 7);
const PIECE_BYTES = 64 * KIB;

let directory = "";
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "cortex-download-"));
});
afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

interface Options {
  readonly clock?: Clock;
  readonly sizeBytes?: number | null;
  readonly sha256?: string | null;
  readonly freeBytes?: () => Promise<number>;
  readonly headroomEveryBytes?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (news: FileProgress) => void;
  readonly connections?: number;
}

/** Waits for retries are over at once; that of the stall watch never is. */
class ImpatientClock extends ManualClock {
  readonly waitsMs: number[] = [];

  override sleep(durationMs: number, signal?: AbortSignal): Promise<void> {
    if (durationMs === STALL_MS) return super.sleep(durationMs, signal);
    this.waitsMs.push(durationMs);
    return Promise.resolve();
  }
}
const STALL_MS = 77_000;

async function download(url: string, options: Options = {}) {
  const http = createRemoteHttp({ endpoint: new URL(url).origin, token: "hf_secret_token" });
  try {
    return await downloadFile(
      {
        file: {
          url,
          name: "model.gguf",
          sizeBytes: options.sizeBytes ?? null,
          sha256: options.sha256 ?? null,
        },
        path: target(),
        signal: options.signal ?? new AbortController().signal,
        onProgress: options.onProgress ?? (() => undefined),
        promisedBytes: () => 0,
      },
      {
        clock: options.clock ?? new ImpatientClock(),
        http,
        freeBytes: options.freeBytes ?? (() => Promise.resolve(1e12)),
        limits: {
          connections: options.connections ?? 3,
          pieceBytes: PIECE_BYTES,
          stallMs: STALL_MS,
          reserveBytes: 1000,
          headroomEveryBytes: options.headroomEveryBytes ?? PIECE_BYTES,
        },
      },
    );
  } finally {
    await http.close();
  }
}

const target = (): string => join(directory, "model.gguf");
const arrived = (): Uint8Array => new Uint8Array(readFileSync(target()));
const leftovers = (): readonly boolean[] =>
  [".partial", ".partial.json"].map((end) => existsSync(target() + end));

/** Misbehaves at requests that ask for bytes (not at the first look), so many times. */
const atFirst = (
  times: number,
  behaviour: Behaviour,
  isIt: (request: SeenRequest) => boolean = isForBytes,
) => {
  let left = times;
  return (request: SeenRequest): Behaviour => {
    if (left === 0 || !isIt(request)) return {};
    left -= 1;
    return behaviour;
  };
};
const isForBytes = ({ range }: SeenRequest): boolean => range !== "bytes=0-0";

describe("a file arrives whole", () => {
  test("in ranges side by side, and under its name only at the end", async () => {
    await using server = await startFileServer();
    server.put("/m.gguf", BODY);
    const steps: FileProgress[] = [];
    const result = await download(`${server.base}/m.gguf`, {
      onProgress: (news) => {
        steps.push(news);
        expect(existsSync(target())).toBe(false);
      },
    });
    expect(result).toEqual({ bytes: BODY.length, sha256: digestOf(BODY) });
    expect(arrived()).toEqual(BODY);
    expect(leftovers()).toEqual([false, false]);
    expect(server.seen.map(({ range }) => range)).toEqual(
      expect.arrayContaining(["bytes=0-0", "bytes=0-65535", "bytes=65536-131071", "bytes=262144-307199"]),
    );
    expect(server.seen.slice(1).every(({ ifRange }) => ifRange === server.files.get("/m.gguf")?.etag)).toBe(
      true,
    );
    const done = steps.map(({ bytesDone }) => bytesDone);
    expect(done).toEqual(done.toSorted((left, right) => left - right));
    expect(steps.at(-1)).toEqual({
      step: "verifying",
      bytesDone: BODY.length,
      bytesTotal: BODY.length,
    });
  });

  test.each([
    { fault: "cut in the middle", behaviour: { cutAfter: 10_000 } },
    { fault: "cut before the first byte", behaviour: { cutAfter: 0 } },
    { fault: "sends another range", behaviour: { shift: 16 } },
    { fault: "says 500", behaviour: { status: 500 } },
    { fault: "says 429", behaviour: { status: 429, headers: { "retry-after": "7" } }, waitsMs: [7000] },
  ] as readonly { fault: string; behaviour: Behaviour; waitsMs?: readonly number[] }[])(
    "though the server at first $fault",
    async ({ behaviour, waitsMs = [] }) => {
      await using server = await startFileServer();
      server.put("/m.gguf", BODY);
      server.behaves(atFirst(4, behaviour));
      const clock = new ImpatientClock();
      await download(`${server.base}/m.gguf`, { clock, sha256: digestOf(BODY) });
      expect(arrived()).toEqual(BODY);
      expect(clock.waitsMs).toEqual(expect.arrayContaining([...waitsMs]));
    },
  );

  test("though the server stalls: nothing for a while, and the connection is given up", async () => {
    await using server = await startFileServer();
    server.put("/m.gguf", BODY);
    server.behaves(atFirst(1, { stallAfter: 20_000 }));
    const clock = new ImpatientClock();
    const arrivedBytes = Promise.withResolvers<void>();
    const downloading = download(`${server.base}/m.gguf`, {
      clock,
      connections: 1,
      onProgress: ({ bytesDone }) => {
        if (bytesDone === 20_000) arrivedBytes.resolve();
      },
    });
    await arrivedBytes.promise;
    await eventually(async () => {
      await clock.advance(STALL_MS);
      expect(server.seen.length).toBeGreaterThan(2);
    });
    await downloading;
    expect(arrived()).toEqual(BODY);
    // It went on where it was, within the same piece.
    expect(server.seen[2]?.range).toBe("bytes=20000-65535");
  });

  test("from a server without ranges, begun anew after a cut", async () => {
    await using server = await startFileServer();
    server.put("/m.gguf", BODY);
    let cuts = 1;
    server.behaves(({ range }) => {
      if (range !== undefined) return { noRanges: true };
      cuts -= 1;
      return cuts >= 0 ? { cutAfter: 100_000 } : { noRanges: true };
    });
    await download(`${server.base}/m.gguf`, { sha256: digestOf(BODY) });
    expect(arrived()).toEqual(BODY);
  });

  test("although it changed between two ranges: all of it is the new one", async () => {
    await using server = await startFileServer();
    server.put("/m.gguf", BODY);
    server.behaves((_request, nth) => {
      if (nth === 3) server.put("/m.gguf", OTHER_BODY);
      return {};
    });
    const result = await download(`${server.base}/m.gguf`, { connections: 1 });
    expect(arrived()).toEqual(OTHER_BODY);
    expect(result.sha256).toBe(digestOf(OTHER_BODY));
  });

  test("over a redirect, and the token stays with the hub", async () => {
    await using server = await startFileServer();
    await using elsewhere = await startFileServer();
    elsewhere.put("/cdn", BODY);
    const linked = { "x-linked-etag": `"${digestOf(BODY)}"` };
    server.behaves(() => ({ redirect: `${elsewhere.base}/cdn?signature=s3cret`, headers: linked }));
    await download(`${server.base}/m.gguf`);
    expect(arrived()).toEqual(BODY);
    expect(new Set(server.seen.map(({ authorization }) => authorization))).toEqual(
      new Set(["Bearer hf_secret_token"]),
    );
    expect(new Set(elsewhere.seen.map(({ authorization }) => authorization))).toEqual(new Set([undefined]));
  });
});

/** Fetches a part and is called off. */
async function fetchAPart(url: string): Promise<void> {
  const leaving = new AbortController();
  const left = download(url, {
    connections: 1,
    signal: leaving.signal,
    onProgress: ({ bytesDone }) => {
      if (bytesDone >= 2 * PIECE_BYTES) leaving.abort(new Error("called off"));
    },
  });
  await expect(left).rejects.toThrow("called off");
  expect(leftovers()).toEqual([true, true]);
  expect(existsSync(target())).toBe(false);
}

describe("a download goes on", () => {
  test("with what is there already, when the file is the same", async () => {
    await using server = await startFileServer();
    server.put("/m.gguf", BODY);
    await fetchAPart(`${server.base}/m.gguf`);
    server.seen.length = 0;
    await download(`${server.base}/m.gguf`);
    expect(arrived()).toEqual(BODY);
    expect(server.seen.map(({ range }) => range)).not.toContain("bytes=0-65535");
    expect(server.seen.map(({ range }) => range)).toContain("bytes=262144-307199");
  });

  test.each([
    { what: "the file is another one", body: OTHER_BODY, etag: '"other"' },
    { what: "the ETag is weak", body: BODY, etag: 'W/"weak"' },
    { what: "there is no ETag", body: BODY, etag: null },
  ])("from the beginning when $what", async ({ body, etag }) => {
    await using server = await startFileServer();
    server.put("/m.gguf", BODY, etag === '"other"' ? undefined : etag);
    await fetchAPart(`${server.base}/m.gguf`);
    server.put("/m.gguf", body, etag);
    server.seen.length = 0;
    await download(`${server.base}/m.gguf`);
    expect(arrived()).toEqual(body);
    expect(server.seen.map(({ range }) => range)).toContain("bytes=0-65535");
  });
});

describe("a download fails", () => {
  test.each([
    { status: 401, code: "source_denied" },
    { status: 403, code: "source_denied" },
    { status: 404, code: "source_not_found" },
    { status: 416, code: "download_failed" },
    { status: 418, code: "download_failed" },
    { status: 503, code: "download_failed" },
  ])("as $code when the server says $status for good", async ({ status, code }) => {
    await using server = await startFileServer();
    server.behaves(() => ({ status }));
    const failed = download(`${server.base}/m.gguf?signature=s3cret`);
    await expect(failed).rejects.toMatchObject({ code });
    await expect(failed).rejects.toThrow(`the server answered ${status}`);
    await expect(failed).rejects.not.toThrow(/s3cret|hf_secret/);
    expect(existsSync(target())).toBe(false);
  });

  test("at once when Retry-After is hours, and says when", async () => {
    await using server = await startFileServer();
    server.behaves(() => ({ status: 429, headers: { "retry-after": "7200" } }));
    await expect(download(`${server.base}/m.gguf`)).rejects.toMatchObject({
      code: "download_failed",
      retryAfterSecs: 7200,
    });
    expect(server.seen).toHaveLength(1);
  });

  test("when bytes were changed on the way, and keeps none of them", async () => {
    await using server = await startFileServer();
    server.put("/m.gguf", BODY);
    server.behaves(atFirst(1, { corrupt: true }));
    await expect(download(`${server.base}/m.gguf`, { sha256: digestOf(BODY) })).rejects.toMatchObject({
      code: "checksum_mismatch",
      details: { pinned_sha256: digestOf(BODY) },
    });
    expect([existsSync(target()), ...leftovers()]).toEqual([false, false, false]);
    await download(`${server.base}/m.gguf`, { sha256: digestOf(BODY) });
    expect(arrived()).toEqual(BODY);
  });

  test("when the server lies about the length", async () => {
    await using server = await startFileServer();
    server.put("/m.gguf", BODY);
    await expect(download(`${server.base}/m.gguf`, { sizeBytes: 12 })).rejects.toMatchObject({
      code: "download_failed",
    });
    server.behaves(() => ({ claimTotal: BODY.length + 50_000 }));
    await expect(download(`${server.base}/m.gguf`)).rejects.toMatchObject({ code: "download_failed" });
    expect(existsSync(target())).toBe(false);
  });

  test("when it is a page and no model", async () => {
    await using server = await startFileServer();
    server.put("/m.gguf", new TextEncoder().encode("<html>sign in</html>"));
    await expect(download(`${server.base}/m.gguf`)).rejects.toMatchObject({ code: "model_file_invalid" });
    expect([existsSync(target()), ...leftovers()]).toEqual([false, false, false]);
  });

  test("before the first byte when the disk has no room for it", async () => {
    await using server = await startFileServer();
    server.put("/m.gguf", BODY);
    const freeBytes = (): Promise<number> => Promise.resolve(BODY.length + 999);
    await expect(download(`${server.base}/m.gguf`, { freeBytes })).rejects.toMatchObject({
      code: "disk_full",
      details: { required_bytes: BODY.length + 1000, free_bytes: BODY.length + 999 },
    });
    expect(server.seen).toHaveLength(1);
  });

  test("on its way when others fill the disk, keeps what it has and goes on when there is room", async () => {
    await using server = await startFileServer();
    server.put("/m.gguf", BODY);
    let looks = 0;
    const freeBytes = (): Promise<number> => {
      looks += 1;
      return Promise.resolve(looks <= 2 ? 1e12 : 0);
    };
    const failed = download(`${server.base}/m.gguf`, { freeBytes, connections: 1 });
    await expect(failed).rejects.toMatchObject({ code: "disk_full" });
    expect(leftovers()).toEqual([true, true]);
    server.seen.length = 0;
    await download(`${server.base}/m.gguf`);
    expect(arrived()).toEqual(BODY);
    expect(server.seen.map(({ range }) => range)).not.toContain("bytes=0-65535");
  });
});
