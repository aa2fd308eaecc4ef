import { endProcess } from "../../support/end-process.ts";
import { fork } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ModelStore, type StoreProgress } from "../../../src/neuron/store/io/model-store.ts";
import { collectStore, listStore, verifyStore } from "../../../src/neuron/store/io/store-shelf.ts";
import { systemClock } from "../../../src/platform/system-clock.ts";
import { eventually } from "../../support/eventually.ts";
import { HurriedClock } from "../../support/hurried-clock.ts";
import { digestOf, modelBytes, startFileServer, type FileServer } from "../../support/neuron/file-server.ts";

const KIB = 1024;
const COMMIT = "a".repeat(40);
const BODY = modelBytes(200 * KIB);
const OTHER_BODY = modelBytes(120 * KIB, 5);

let root = "";
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "cortex-store-"));
});
afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

const LIMITS = { pieceBytes: 32 * KIB, reserveBytes: 0 };

function storeOf(server: FileServer, limits = {}) {
  const store = new ModelStore(
    { root, hub: { endpoint: `${server.base}/`, token: "hf_secret" }, limits: { ...LIMITS, ...limits } },
    { clock: new HurriedClockWithoutStalls() },
  );
  return { store, [Symbol.asyncDispose]: () => store.close() };
}

/** Retries at once; what only a stall or a late answer would end goes on until it is called off. */
class HurriedClockWithoutStalls extends HurriedClock {
  override sleep(durationMs: number, signal?: AbortSignal): Promise<void> {
    if (durationMs < 30_000) return super.sleep(durationMs, signal);
    return new Promise((_resolve, reject) => {
      signal?.addEventListener("abort", () => {
        reject(new Error("called off"));
      });
    });
  }
}

/** A repository as a hub shows it. */
function publish(server: FileServer, files: Readonly<Record<string, Uint8Array>>, revision = "main"): void {
  const siblings = Object.entries(files).map(([rfilename, body]) => ({
    rfilename,
    size: body.length,
    lfs: { sha256: digestOf(body), size: body.length },
  }));
  server.answers.set(
    `/api/models/org/repo/revision/${revision}?blobs=true`,
    JSON.stringify({ sha: COMMIT, siblings }),
  );
  for (const [name, body] of Object.entries(files)) server.put(`/org/repo/resolve/${COMMIT}/${name}`, body);
}

const signal = (): AbortSignal => new AbortController().signal;

describe("a hub's repository", () => {
  test("a tag becomes a file of a commit, and the next load asks nobody", async () => {
    await using server = await startFileServer();
    publish(server, { "m-Q4_K_M.gguf": BODY, "m-Q8_0.gguf": OTHER_BODY });
    await using opened = storeOf(server);
    const stored = await opened.store.fetch("hf:org/repo:q4_k_m", { signal: signal() });
    expect(stored?.path).toBe(join(root, "downloads/hf/org/repo", COMMIT, "m-Q4_K_M.gguf"));
    expect(new Uint8Array(readFileSync(stored?.path ?? ""))).toEqual(BODY);
    expect(stored?.record).toMatchObject({ revision: COMMIT, files: [{ sha256: digestOf(BODY) }] });
    expect(server.seen[0]?.authorization).toBe("Bearer hf_secret");
    server.behaves(() => ({ status: 500 }));
    const asked = server.seen.length;
    const again = await opened.store.fetch("hf:org/repo:q4_k_m", {
      signal: signal(),
      sha256: digestOf(BODY),
    });
    expect(again?.path).toBe(stored?.path);
    expect(server.seen).toHaveLength(asked);
  });

  test("parts of a set come all, and the first one names the model", async () => {
    await using server = await startFileServer();
    publish(server, {
      "Q8/m-00001-of-00002.gguf": BODY,
      "Q8/m-00002-of-00002.gguf": OTHER_BODY,
    });
    await using opened = storeOf(server);
    const news: StoreProgress[] = [];
    const stored = await opened.store.fetch("hf:org/repo:Q8/m-00001-of-00002.gguf", {
      signal: signal(),
      onProgress: (step) => news.push(step),
    });
    expect(stored?.path.endsWith("Q8/m-00001-of-00002.gguf")).toBe(true);
    expect(stored?.record.files.map(({ bytes }) => bytes)).toEqual([BODY.length, OTHER_BODY.length]);
    expect(news[0]?.bytesTotal).toBe(BODY.length + OTHER_BODY.length);
  });

  test("a pin that the hub contradicts fails before a byte is fetched", async () => {
    await using server = await startFileServer();
    publish(server, { "m.gguf": BODY });
    await using opened = storeOf(server);
    const sha256 = "0".repeat(64);
    await expect(opened.store.fetch("hf:org/repo", { signal: signal(), sha256 })).rejects.toMatchObject({
      code: "checksum_mismatch",
    });
    expect(server.seen).toHaveLength(1);
  });

  test.each([
    { status: 401, code: "source_denied" },
    { status: 404, code: "source_not_found" },
    { status: 503, code: "download_failed" },
  ])("$status from the hub is $code, and the token is in no word of it", async ({ status, code }) => {
    await using server = await startFileServer();
    server.behaves(() => ({ status }));
    await using opened = storeOf(server);
    const failure = await opened.store
      .fetch("hf:org/repo", { signal: signal() })
      .catch((thrown: unknown) => thrown);
    expect(failure).toMatchObject({ code });
    expect(`${String(failure)} ${JSON.stringify(failure)}`).not.toContain("hf_secret");
  });
});

test("two who wait share one download; it ends with the last of them, and goes on later", async () => {
  await using server = await startFileServer();
  publish(server, { "m.gguf": BODY });
  server.behaves(({ range }) => (range === undefined || range === "bytes=0-0" ? {} : { stallAfter: 10_000 }));
  await using opened = storeOf(server, { connections: 1 });
  const [first, second] = [new AbortController(), new AbortController()];
  const both = [first, second].map((waiter) => opened.store.fetch("hf:org/repo", { signal: waiter.signal }));
  const partial = join(root, "downloads/hf/org/repo", COMMIT, "m.gguf.partial");
  await eventually(() => {
    expect(server.seen.filter(({ url }) => url.includes("resolve"))).toHaveLength(2);
    expect(statSync(partial).size).toBeGreaterThan(0);
  });
  first.abort(new Error("left"));
  await expect(both[0]).rejects.toThrow("left");
  second.abort(new Error("left as well"));
  await expect(both[1]).rejects.toThrow("left as well");
  server.behaves(() => ({}));
  const stored = await opened.store.fetch("hf:org/repo", { signal: signal() });
  expect(new Uint8Array(readFileSync(stored?.path ?? ""))).toEqual(BODY);
  expect(server.seen.filter(({ range }) => range === "bytes=0-32767")).toHaveLength(1);
});

test("a process that is killed in the middle leaves what the next one goes on with", async () => {
  await using server = await startFileServer();
  const body = modelBytes(2 * KIB * KIB);
  publish(server, { "m.gguf": body });
  let served = 0;
  server.behaves(({ range }) => {
    if (range === undefined || range === "bytes=0-0") return {};
    served += 1;
    return served > 8 ? { stallAfter: 1000 } : {};
  });
  const child = fork(fileURLToPath(new URL("../../support/neuron/pull-process.ts", import.meta.url)), [
    root,
    server.base,
    "hf:org/repo",
  ]);
  await eventually(() => {
    expect(served).toBeGreaterThan(8);
  });
  await endProcess(child, "SIGKILL");
  expect(existsSync(join(root, "downloads/hf/org/repo", COMMIT, "m.gguf"))).toBe(false);
  expect(readdirSync(join(root, "downloads/sources")).some((name) => name.endsWith(".lock"))).toBe(true);
  server.behaves(() => ({}));
  server.seen.length = 0;
  await using opened = storeOf(server);
  const stored = await opened.store.fetch("hf:org/repo", { signal: signal() });
  expect(new Uint8Array(readFileSync(stored?.path ?? ""))).toEqual(body);
  const fetched = server.seen.filter(({ range }) => range !== undefined && range !== "bytes=0-0");
  expect(fetched.length).toBeLessThan(64 - 3);
});

describe("what is kept", () => {
  test("is listed, verified, and collected by last use; a shared file stays with who needs it", async () => {
    await using server = await startFileServer();
    publish(server, { "m-Q4_K_M.gguf": BODY, "m-Q8_0.gguf": OTHER_BODY });
    await using opened = storeOf(server);
    for (const source of ["hf:org/repo", "hf:org/repo:Q4_K_M", "hf:org/repo:Q8_0"])
      await opened.store.fetch(source, { signal: signal() });
    writeFileSync(join(root, "mine.gguf"), "GGUF of a person");
    const listing = await listStore(root);
    expect(listing.items.map(({ name, kind }) => `${kind} ${name}`)).toEqual([
      "model hf:org/repo",
      "model hf:org/repo:Q4_K_M",
      "model hf:org/repo:Q8_0",
    ]);
    const eighth = listing.items[2]?.files[0] ?? "";
    expect((await verifyStore(root, signal())).checked.map(({ problem }) => problem)).toEqual([
      null,
      null,
      null,
    ]);
    writeFileSync(eighth, modelBytes(120 * KIB, 6));
    expect((await verifyStore(root, signal())).checked[2]?.problem).toContain("has sha256");

    const nothing = await collectStore(root, { maxAgeMs: null, freeBytes: null, dryRun: false }, systemClock);
    expect(nothing.removed).toEqual([]);
    const some = await collectStore(root, { maxAgeMs: null, freeBytes: 1, dryRun: false }, systemClock);
    expect(some.removed.map(({ name }) => name)).toEqual(["hf:org/repo"]);
    expect((await verifyStore(root, signal())).checked[0]?.problem).toBe(null);
    await collectStore(root, { maxAgeMs: 0, freeBytes: null, dryRun: false }, systemClock);
    expect(existsSync(eighth)).toBe(false);
    expect((await listStore(root)).items).toEqual([]);
    expect(existsSync(join(root, "mine.gguf"))).toBe(true);
  });
});
