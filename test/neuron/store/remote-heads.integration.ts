import { describe, expect, test } from "vitest";
import { RemoteHeads } from "../../../src/neuron/store/io/remote-heads.ts";
import { eventually } from "../../support/eventually.ts";
import { HurriedClock } from "../../support/hurried-clock.ts";
import {
  publishRepository,
  startFileServer,
  type Behaviour,
  type FileServer,
} from "../../support/neuron/file-server.ts";
import { writeTinyGguf } from "../../support/neuron/gguf-writer.ts";

const MIB = 1024 * 1024;
const COMMIT = "b".repeat(40);
const SOURCE = "hf:org/repo";
const TINY = writeTinyGguf();
/** A head, and weights that nobody should read. */
const LARGE = Buffer.concat([TINY, Buffer.alloc(12 * MIB)]);
const LONG_HEAD = Buffer.concat([
  writeTinyGguf({ chatTemplate: "x".repeat(3 * MIB) }),
  Buffer.alloc(12 * MIB),
]);

const publish = (server: FileServer, files: Readonly<Record<string, Uint8Array>>): void => {
  publishRepository(server, "repo", files);
};

const PATIENCE_MS = 3000;
const READ_MS = 60_000;

/** Retries come at once; what only a server that does not answer would end goes on until the test says so. */
class HeldClock extends HurriedClock {
  readonly #over = new Map<number, PromiseWithResolvers<void>>();

  override async sleep(durationMs: number, signal?: AbortSignal): Promise<void> {
    if (durationMs !== PATIENCE_MS && durationMs < 30_000) return super.sleep(durationMs, signal);
    const called = Promise.withResolvers<void>();
    signal?.addEventListener("abort", () => called.reject(new Error("called off")));
    await Promise.race([called.promise, this.#overOf(durationMs).promise]);
  }

  /** All sleeps of this length end, those to come as well. */
  end(durationMs: number): void {
    this.#overOf(durationMs).resolve();
  }

  #overOf(durationMs: number): PromiseWithResolvers<void> {
    const over = this.#over.get(durationMs) ?? Promise.withResolvers<void>();
    this.#over.set(durationMs, over);
    return over;
  }
}

function headsOf(server: FileServer, clock = new HeldClock()) {
  const heads = new RemoteHeads({ endpoint: server.base, token: "hf_secret" }, { clock });
  return { heads, [Symbol.asyncDispose]: () => heads.close() };
}

const rangesOf = ({ seen }: FileServer) => seen.flatMap(({ range }) => range ?? []);

describe("a model that is not here", () => {
  test("is known by its head, which is read once", async () => {
    await using server = await startFileServer();
    publish(server, { "m.gguf": LARGE });
    await using opened = headsOf(server);
    const asked = await Promise.all([opened.heads.inspect(SOURCE), opened.heads.inspect(SOURCE)]);
    expect(asked[0]).toMatchObject({
      fileBytes: LARGE.length,
      shape: { trainedContext: expect.any(Number) as number },
    });
    expect(asked[1]).toBe(asked[0]);
    expect(await opened.heads.inspect(SOURCE)).toBe(asked[0]);
    expect(rangesOf(server)).toEqual([`bytes=0-${MIB - 1}`]);
    expect(server.seen.map(({ authorization }) => authorization)).toEqual([
      "Bearer hf_secret",
      "Bearer hf_secret",
    ]);
  });

  test("has its head read on where it is long, and no further", async () => {
    await using server = await startFileServer();
    publish(server, { "m.gguf": LONG_HEAD });
    await using opened = headsOf(server);
    expect((await opened.heads.inspect(SOURCE))?.shape?.weights).not.toBeNull();
    expect(rangesOf(server)).toEqual([`bytes=0-${MIB - 1}`, `bytes=${MIB}-${8 * MIB - 1}`]);
  });

  test("in parts has the figures of the first and the size of all", async () => {
    await using server = await startFileServer();
    const parts = { "m-00001-of-00002.gguf": TINY, "m-00002-of-00002.gguf": LARGE };
    publish(server, parts);
    await using opened = headsOf(server);
    const model = await opened.heads.inspect(SOURCE);
    expect(model).toMatchObject({ fileBytes: TINY.length + LARGE.length });
    expect(model?.shape?.weights).toHaveLength(2);
  });

  test("by a URL that knows no ranges is not fetched beyond its head", async () => {
    await using server = await startFileServer();
    const huge = Buffer.concat([TINY, Buffer.alloc(200 * MIB)]);
    publish(server, { "m.gguf": huge });
    server.behaves(({ range }) => (range === undefined ? {} : { noRanges: true }));
    await using opened = headsOf(server);
    expect(await opened.heads.inspect(SOURCE)).toMatchObject({ fileBytes: huge.length });
    expect(server.seen).toHaveLength(2);
  });
});

const ofFile = (behaviour: Behaviour, times = Infinity) => {
  let count = 0;
  return ({ url }: { readonly url: string }): Behaviour => {
    if (!url.includes("/resolve/")) return {};
    count += 1;
    return count <= times ? behaviour : {};
  };
};

describe("a server that", () => {
  test.each<{ what: string; behaviour: Behaviour; code: string }>([
    { what: "wants a token", behaviour: { status: 401 }, code: "source_denied" },
    { what: "has no such file", behaviour: { status: 404 }, code: "source_not_found" },
    {
      what: "is busy for an hour",
      behaviour: { status: 429, headers: { "retry-after": "3600" } },
      code: "download_failed",
    },
    { what: "fails each time", behaviour: { status: 500 }, code: "download_failed" },
    { what: "lies about the length", behaviour: { claimTotal: LARGE.length * 3 }, code: "download_failed" },
    { what: "sends another range", behaviour: { shift: 7 }, code: "download_failed" },
    { what: "cuts each answer", behaviour: { cutAfter: 1000 }, code: "download_failed" },
  ])("$what is $code, and asked again soon", async ({ behaviour, code }) => {
    await using server = await startFileServer();
    publish(server, { "m.gguf": LARGE });
    server.behaves(ofFile(behaviour));
    await using opened = headsOf(server);
    const failure = await opened.heads.inspect(SOURCE).catch((thrown: unknown) => thrown);
    expect(failure).toMatchObject({ code });
    expect(JSON.stringify(failure)).not.toContain("hf_secret");
    const asked = server.seen.length;
    await expect(opened.heads.inspect(SOURCE)).rejects.toBe(failure);
    expect(server.seen).toHaveLength(asked);
  });

  test.each<{ what: string; behaviour: Behaviour }>([
    { what: "is busy once", behaviour: { status: 429, headers: { "retry-after": "1" } } },
    { what: "fails once", behaviour: { status: 502 } },
    { what: "cuts once", behaviour: { cutAfter: 1000 } },
    { what: "sends another range once", behaviour: { shift: 7 } },
  ])("$what is asked again", async ({ behaviour }) => {
    await using server = await startFileServer();
    publish(server, { "m.gguf": LARGE });
    server.behaves(ofFile(behaviour, 1));
    await using opened = headsOf(server);
    expect(await opened.heads.inspect(SOURCE)).toMatchObject({ fileBytes: LARGE.length });
  });

  test("changes the file between two ranges is begun anew", async () => {
    await using server = await startFileServer();
    publish(server, { "m.gguf": LONG_HEAD });
    let count = 0;
    server.behaves(({ url }) => {
      count += url.includes("/resolve/") ? 1 : 0;
      const changed = Buffer.from(LONG_HEAD);
      if (count === 2) server.put(`/org/repo/resolve/${COMMIT}/m.gguf`, changed, '"another"');
      return {};
    });
    await using opened = headsOf(server);
    expect(await opened.heads.inspect(SOURCE)).toMatchObject({ fileBytes: LONG_HEAD.length });
  });

  test("sends a page instead of a model is told so", async () => {
    await using server = await startFileServer();
    publish(server, { "m.gguf": new TextEncoder().encode("<html>sign in</html>") });
    await using opened = headsOf(server);
    await expect(opened.heads.inspect(SOURCE)).rejects.toMatchObject({ code: "model_file_invalid" });
  });

  test("stalls keeps nobody waiting, and is given up in the end", async () => {
    await using server = await startFileServer();
    publish(server, { "m.gguf": LARGE });
    server.behaves(ofFile({ stallAfter: 10 }, 1));
    const clock = new HeldClock();
    await using opened = headsOf(server, clock);
    clock.end(PATIENCE_MS);
    await expect(opened.heads.inspect(SOURCE)).rejects.toThrow(`the size of ${SOURCE} is being read`);
    await eventually(() => {
      expect(rangesOf(server)).toHaveLength(1);
    });
    clock.end(READ_MS);
    await eventually(() =>
      expect(opened.heads.inspect(SOURCE)).rejects.toThrow("its source did not tell its size in time"),
    );
  });
});

test("a source that names a file here is nothing to ask for", async () => {
  await using server = await startFileServer();
  await using opened = headsOf(server);
  expect(await opened.heads.inspect("file:/m.gguf")).toBeNull();
  expect(server.seen).toEqual([]);
});
