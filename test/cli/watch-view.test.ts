import { describe, expect, test } from "vitest";
import type { View } from "../../src/cli/view/view.ts";
import { watchView } from "../../src/cli/watch-view.ts";
import { CortexError } from "../../src/core/errors.ts";
import { eventually } from "../support/eventually.ts";
import { ManualClock } from "../support/manual-clock.ts";

const viewOf = (text: string): View<{ readonly text: string }> => ({ json: { text }, human: () => text });

type Reading = string | CortexError;

/** Watches the readings one after the other, and what was written until the last of them was shown. */
async function watched(
  readings: readonly Reading[],
  options: { readonly json?: boolean; readonly rows?: number } = {},
): Promise<string[]> {
  const written: string[] = [];
  const clock = new ManualClock();
  const stop = new AbortController();
  let next = 0;
  const read = (): Promise<View<unknown>> => {
    const reading = readings[next] ?? "";
    next += 1;
    return typeof reading === "string" ? Promise.resolve(viewOf(reading)) : Promise.reject(reading);
  };
  const { rows } = options;
  const watching = watchView(read, {
    everyMs: 2000,
    json: options.json ?? false,
    look: { colour: false },
    output: {
      write: (text) => void written.push(text),
      size: () => (rows === undefined ? undefined : { columns: 100, rows }),
    },
    clock,
    signal: stop.signal,
  });
  // Whoever fails at once never sleeps.
  if (readings.length === 1 && readings[0] instanceof CortexError) await watching;
  for (let at = 1; at < readings.length; at += 1) {
    await eventually(() => expect(clock.sleeping).toBe(1));
    await clock.advance(2000);
  }
  await eventually(() => expect(clock.sleeping).toBe(1));
  stop.abort();
  await watching;
  return written;
}

const away = new CortexError("upstream_connection_error", "nobody answers");

describe("without a terminal", () => {
  test("what is the same is not said again", async () => {
    const written = await watched(["one", "one", "two"]);
    expect(written).toEqual(["2026-01-01T00:00:00Z\none\n\n", "2026-01-01T00:00:04Z\ntwo\n\n"]);
  });

  test("a reading that fails is said, and tried again", async () => {
    const written = await watched(["one", away, "one"]);
    expect(written.map((text) => text.split("\n")[1])).toEqual([
      "one",
      "upstream_connection_error: nobody answers; trying again",
      "one",
    ]);
  });

  test("with --json every reading is a line", async () => {
    const written = await watched(["one", "one", away], { json: true });
    const said = written.map((line) => JSON.parse(line) as unknown);
    expect(said.slice(0, 2)).toEqual([{ text: "one" }, { text: "one" }]);
    expect(said[2]).toMatchObject({ error: { code: "upstream_connection_error" } });
  });

  test("a first reading that fails is the command's error", async () => {
    await expect(watched([away])).rejects.toThrow("nobody answers");
  });
});

test("news are read before the time, also those that come while it is read", async () => {
  const written: string[] = [];
  const clock = new ManualClock();
  const stop = new AbortController();
  let ring: (() => void) | undefined;
  let readings = 0;
  const watching = watchView(
    () => {
      readings += 1;
      if (readings === 2) ring?.();
      return Promise.resolve(viewOf(String(readings)));
    },
    {
      everyMs: 3_600_000,
      json: true,
      look: { colour: false },
      output: { write: (text) => void written.push(text), size: () => undefined },
      clock,
      signal: stop.signal,
      news: (onNews) => {
        ring = onNews;
      },
    },
  );
  await eventually(() => expect(clock.sleeping).toBe(1));
  expect(readings).toBe(1);
  ring?.();
  await eventually(() => expect(readings).toBe(3));
  await eventually(() => expect(clock.sleeping).toBe(1));
  expect(readings).toBe(3);
  stop.abort();
  await watching;
  expect(written.map((line) => JSON.parse(line) as unknown)).toEqual([
    { text: "1" },
    { text: "2" },
    { text: "3" },
  ]);
});

/** What a terminal shows after a frame: its lines without where they stand. */
const linesOf = (frame: string | undefined): string[] =>
  // oxlint-disable-next-line no-control-regex -- where a line stands is said in control characters
  (frame ?? "").split(/\u001B\[\d+;1H/).map((line) => line.split("\u001B")[0] ?? "");

describe("in a terminal", () => {
  test("only lines that have changed are written, and the last view stays behind", async () => {
    const written = await watched(["one\nsame", "two\nsame"], { rows: 4 });
    expect(linesOf(written[1])).toEqual(["", "one", "same", "00:00:00Z  Ctrl-C ends  every 2 s"]);
    expect(linesOf(written[2])).toEqual(["", "two", "00:00:02Z  Ctrl-C ends  every 2 s"]);
    expect(written[3]).toContain("\u001B[?1049l");
    expect(written[4]).toBe("two\nsame\n");
  });

  test("what has no room is counted", async () => {
    const [, frame] = await watched(["1\n2\n3\n4\n5"], { rows: 4 });
    expect(linesOf(frame).slice(1, 4)).toEqual(["1", "2", "and 3 more lines"]);
  });

  test("while nobody answers the last view stays, with what is wrong below it", async () => {
    const written = await watched(["one", away], { rows: 4 });
    expect(linesOf(written[2])).toEqual([
      "",
      "00:00:02Z  Ctrl-C ends  upstream_connection_error: nobody answers; trying again",
    ]);
  });
});
