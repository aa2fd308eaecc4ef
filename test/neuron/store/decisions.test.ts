import { describe, expect, test } from "vitest";
import { collectionOrder, type Collectable } from "../../../src/neuron/store/collection.ts";
import { etaSecs, withSample, type RateWindow } from "../../../src/neuron/store/download-rate.ts";
import { headroomFailure } from "../../../src/neuron/store/headroom.ts";
import { broken, retryDelayMs, statusFailure } from "../../../src/neuron/store/http-answer.ts";
import {
  parseRemoteSource,
  readListing,
  resolveUrlSource,
  visibleSource,
} from "../../../src/neuron/store/resolve-source.ts";
import { decideResume, readJournal, writeJournal, type Journal } from "../../../src/neuron/store/resume.ts";
import { planPieces } from "../../../src/neuron/store/range-plan.ts";

describe("whether a download goes on", () => {
  const pieces = [
    { start: 0, end: 10, at: 10 },
    { start: 10, end: 20, at: 14 },
  ];
  const journal: Journal = { totalBytes: 20, etag: '"a"', sha256: null, pieces };
  const remote = { totalBytes: 20, etag: '"a"', sha256: null, hasRanges: true };
  const sha = "1".repeat(64);

  test.each([
    { what: "the same ETag", kind: "resume" },
    {
      what: "the same digest",
      of: { sha256: sha, etag: null },
      now: { sha256: sha, etag: '"b"' },
      kind: "resume",
    },
    { what: "another digest", of: { sha256: sha }, now: { sha256: "2".repeat(64) }, kind: "start" },
    { what: "another ETag", now: { etag: '"b"' }, kind: "start" },
    { what: "a weak ETag", of: { etag: 'W/"a"' }, now: { etag: 'W/"a"' }, kind: "start" },
    { what: "another length", now: { totalBytes: 21 }, kind: "start" },
    { what: "no ranges", now: { hasRanges: false }, kind: "start" },
    { what: "a journal with a hole", of: { pieces: pieces.slice(1) }, kind: "start" },
    {
      what: "a journal that reaches too far",
      of: { pieces: [{ start: 0, end: 20, at: 25 }] },
      kind: "start",
    },
    { what: "a partial file that was cut", partialBytes: 13, kind: "start" },
  ])("$what: $kind", ({ of, now, partialBytes, kind }) => {
    const kept = { journal: { ...journal, ...of }, partialBytes: partialBytes ?? 14 };
    expect(decideResume(kept, { remote: { ...remote, ...now }, pieceBytes: 8 }).kind).toBe(kind);
  });

  test("a journal reads as it was written; anything else is none", () => {
    expect(readJournal(writeJournal(journal))).toEqual(journal);
    for (const text of ["", "{}", '{"version":2}', writeJournal(journal).slice(0, 40)])
      expect(readJournal(text)).toBeNull();
  });

  test("without ranges there is one piece", () => {
    const decision = decideResume(
      { journal: null, partialBytes: 0 },
      { remote: { ...remote, hasRanges: false }, pieceBytes: 8 },
    );
    expect(decision.pieces).toEqual([{ start: 0, end: 20, at: 0 }]);
    expect(planPieces(20, 8)).toHaveLength(3);
  });
});

describe("what follows from an answer", () => {
  test.each([
    { status: 401, kind: "denied" },
    { status: 404, kind: "absent" },
    { status: 410, kind: "absent" },
    { status: 416, kind: "changed" },
    { status: 418, kind: "refused" },
    { status: 429, kind: "busy" },
    { status: 502, kind: "broken" },
    { status: 503, kind: "busy" },
  ])("$status is $kind", ({ status, kind }) => {
    expect(statusFailure({ status, headers: {} }, 0).kind).toBe(kind);
  });

  test("Retry-After is seconds or a date", () => {
    const nowMs = Date.UTC(2026, 0, 1);
    const after = (value: string): number | null =>
      statusFailure({ status: 429, headers: { "retry-after": value } }, nowMs).retryAfterMs;
    expect([after("7"), after("Thu, 01 Jan 2026 00:01:00 GMT"), after("soon")]).toEqual([7000, 60_000, null]);
  });

  test("waits grow and end; what cannot help is not tried again", () => {
    const waits = [1, 2, 3, 4, 5, 6].map((tries) => retryDelayMs(broken("cut"), tries));
    expect(waits).toEqual([1000, 2000, 4000, 8000, 16_000, null]);
    expect(retryDelayMs({ kind: "absent", message: "", retryAfterMs: null }, 1)).toBeNull();
    expect(retryDelayMs({ kind: "busy", message: "", retryAfterMs: 700_000 }, 1)).toBeNull();
  });
});

test("room is asked for oneself, for others, and for the rest of the machine", () => {
  const question = { freeBytes: 60, neededBytes: 30, promisedBytes: 20, reserveBytes: 10, directory: "/d" };
  expect(headroomFailure(question)).toBeNull();
  expect(headroomFailure({ ...question, freeBytes: 59 })).toMatchObject({
    code: "disk_full",
    details: { required_bytes: 60, free_bytes: 59 },
  });
  expect(headroomFailure({ ...question, neededBytes: 0, freeBytes: 0 })).toBeNull();
});

test("the time left follows the last seconds", () => {
  let window: RateWindow = [];
  expect(etaSecs(window, 100)).toBeNull();
  for (const [atMs, bytes] of [
    [0, 0],
    [20_000, 1000],
    [25_000, 2000],
  ] as const)
    window = withSample(window, { atMs, bytes });
  expect(etaSecs(window, 1000)).toBe(5);
});

describe("sources", () => {
  test.each([
    ["hf:org/repo:Q4_K_M", "hf"],
    ["https://host/x.gguf", "https"],
    ["file:/x.gguf", undefined],
    ["name", undefined],
    ["s3://bucket/x", undefined],
  ])("%s is fetched as %s", (source, kind) => {
    const parsed = parseRemoteSource(source);
    expect(parsed.ok ? parsed.value?.kind : parsed.error).toBe(kind);
  });

  test("a URL with credentials is refused without repeating them", () => {
    const parsed = parseRemoteSource("https://me:hunter2@host/x.gguf?sig=abc");
    expect(parsed.ok ? "" : parsed.error.message).toBe("source https://host/x.gguf carries credentials");
  });

  test("the first part of a set stands for all, query and all", () => {
    const { files } = resolveUrlSource("https://host/a/m-00001-of-00002.gguf?sig=1");
    expect(files.map(({ url }) => url)).toEqual([
      "https://host/a/m-00001-of-00002.gguf?sig=1",
      "https://host/a/m-00002-of-00002.gguf?sig=1",
    ]);
    expect(resolveUrlSource("https://host/download?id=7").files[0]?.name).toBe("model.gguf");
    expect(resolveUrlSource("https://host/%2e%2e%2fx.gguf").files[0]?.name).toBe("model.gguf");
  });

  test("names that climb out of the store are left out of a listing", () => {
    const names = ["ok.gguf", "../x.gguf", "a/../../x.gguf", "/x.gguf", ".hidden.gguf", "a\\b.gguf", ""];
    const body = JSON.stringify({ sha: "a".repeat(40), siblings: names.map((rfilename) => ({ rfilename })) });
    const listing = readListing(body);
    expect(listing.ok ? listing.value.files.map(({ path }) => path) : listing.error).toEqual(["ok.gguf"]);
    expect(readListing("<html>").ok).toBe(false);
  });
});

const DAY_MS = 86_400_000;
const item = (name: string, more: Partial<Collectable>): Collectable => ({
  name,
  kind: "model",
  bytes: 10,
  lastUsedMs: 0,
  inUse: false,
  ...more,
});

describe("what is collected", () => {
  const items = [
    item("old", { lastUsedMs: DAY_MS }),
    item("new", { lastUsedMs: 39 * DAY_MS }),
    item("busy", { inUse: true }),
    item("half", { kind: "partial", lastUsedMs: 39 * DAY_MS }),
    item("left", { kind: "partial" }),
    item("stray", { kind: "orphan" }),
  ];
  test.each([
    { wish: { maxAgeMs: null, freeBytes: null }, expected: ["stray", "left"] },
    { wish: { maxAgeMs: 30 * DAY_MS, freeBytes: null }, expected: ["stray", "left", "old"] },
    { wish: { maxAgeMs: null, freeBytes: 25 }, expected: ["stray", "left", "half"] },
    { wish: { maxAgeMs: null, freeBytes: 1000 }, expected: ["stray", "left", "half", "old", "new"] },
  ])("$wish", ({ wish, expected }) => {
    const order = collectionOrder(items, { ...wish, nowMs: 40 * DAY_MS });
    expect(order.map(({ name }) => name)).toEqual(expected);
  });
});

test.each([
  ["https://models.example/m.gguf?signature=secret", "https://models.example/m.gguf"],
  ["hf:org/repo:Q4_K_M", "hf:org/repo:Q4_K_M"],
  ["file:/srv/models/m.gguf", "file:/srv/models/m.gguf"],
])("messages have %s as %s", (source, shown) => {
  expect(visibleSource(source)).toBe(shown);
});
