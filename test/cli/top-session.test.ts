import { PassThrough } from "node:stream";
import { describe, expect, test } from "vitest";
import { TopSession, type FollowedEvent, type TopSources } from "../../src/cli/top-session.ts";
import type { Change, TextAsked } from "../../src/cli/top/top-state.ts";
import { CortexError } from "../../src/core/errors.ts";
import { eventually } from "../support/eventually.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { copy, fleetState, NOW_MS } from "./overview/fleet-states.ts";
import { REQUESTS } from "./top/shown-fleet.ts";

/** A terminal's input: keys that a test presses. */
class Keyboard extends PassThrough {
  readonly modes: boolean[] = [];
  readonly isTTY = true;

  setRawMode(mode: boolean): this {
    this.modes.push(mode);
    return this;
  }
}

/** Events that a test tells, until it ends them. */
class Told {
  readonly #waiting: FollowedEvent[] = [];
  #wake: () => void = () => undefined;

  tell(event: FollowedEvent): void {
    this.#waiting.push(event);
    this.#wake();
  }

  async *follow(signal: AbortSignal): AsyncGenerator<FollowedEvent> {
    signal.addEventListener("abort", () => {
      this.#wake();
    });
    while (!signal.aborted) {
      const next = this.#waiting.shift();
      if (next === undefined) await new Promise<void>((resolve) => (this.#wake = resolve));
      else yield next;
    }
  }
}

const fleet = fleetState({ declared: { m: 1 }, neurons: [{ name: "beast", models: [copy({ id: "m" })] }] });

function startSession(sources: Partial<TopSources> = {}) {
  const clock = new ManualClock(NOW_MS);
  const keyboard = new Keyboard();
  const written: string[] = [];
  const told = new Told();
  const stop = new AbortController();
  const session = new TopSession({
    sources: {
      follow: (signal) => told.follow(signal),
      requests: () => Promise.resolve(REQUESTS),
      sync: () => Promise.resolve(null),
      text: (of: TextAsked) => Promise.resolve(`text of ${of.kind}`),
      change: (change: Change) => Promise.resolve(`${change.kind} taken`),
      ...sources,
    },
    terminal: { write: (text) => void written.push(text), size: () => ({ columns: 80, rows: 24 }) },
    input: keyboard as unknown as NodeJS.ReadStream,
    onResize: () => () => undefined,
    look: { colour: false, unicode: true },
    clock,
    signal: stop.signal,
  });
  const running = session.run();
  return { clock, keyboard, written, told, stop, running };
}

const snapshot: FollowedEvent = { kind: "fleet-told", event: { kind: "snapshot-taken", state: fleet } };
const frames = (written: readonly string[]): string[] =>
  written.filter((text) => text.startsWith("\u001B[?2026h"));

/** Lets frames be drawn until one has this text. */
async function shows(session: ReturnType<typeof startSession>, text: string): Promise<void> {
  await eventually(async () => {
    await session.clock.advance(100);
    expect(session.written.join("")).toContain(text);
  });
}

describe("a session of cortex top", () => {
  test("however much is told, ten frames a second are drawn at most", async () => {
    const session = startSession();
    for (let at = 0; at < 300; at += 1) {
      const traffic = { requests_in_flight: at, requests_per_sec: at };
      session.told.tell({
        kind: "fleet-told",
        event: { kind: "snapshot-taken", state: { ...fleet, traffic } },
      });
      if (at % 3 === 0) await session.clock.advance(10);
    }
    // 300 events within a second.
    expect(session.clock.nowMs() - NOW_MS).toBe(1000);
    expect(frames(session.written).length).toBeGreaterThan(3);
    expect(frames(session.written).length).toBeLessThanOrEqual(11);
    session.stop.abort();
    await session.running;
  });

  test("q leaves, and the terminal is as it was", async () => {
    const session = startSession();
    session.told.tell(snapshot);
    await shows(session, "beast");
    session.keyboard.write("q");
    await session.running;
    expect(session.keyboard.modes).toEqual([true, false]);
    expect(session.written.at(-1)).toBe("\u001B[?7h\u001B[?25h\u001B[?1049l");
  });

  test("arrows, enter and a letter are keys: a change after a y, and its answer", async () => {
    const asked: Change[] = [];
    const session = startSession({
      change: (change) => {
        asked.push(change);
        return Promise.resolve("it takes no new work");
      },
    });
    session.told.tell(snapshot);
    await shows(session, "beast");
    session.keyboard.write("1");
    session.keyboard.write("\r");
    await shows(session, "neuron beast");
    session.keyboard.write("\u001B[D");
    session.keyboard.write("d");
    await shows(session, "drain beast?");
    expect(asked).toEqual([]);
    session.keyboard.write("y");
    await shows(session, "drain beast: it takes no new work (drift)");
    expect(asked).toEqual([{ kind: "drain", neuron: "beast" }]);
    session.stop.abort();
    await session.running;
  });

  test("a plan that cannot be made says why on its page", async () => {
    const session = startSession({
      text: () => Promise.reject(new CortexError("fleet_not_found", "no fleet files in .")),
    });
    session.keyboard.write("p");
    await shows(session, "no fleet files in .");
    expect(session.written.join("")).not.toContain("[object");
    session.stop.abort();
    await session.running;
  });

  test("a break is said, with when it is tried again", async () => {
    const session = startSession();
    session.told.tell(snapshot);
    await shows(session, "beast");
    session.told.tell({ kind: "stream-broken", problem: "connection refused", retryInMs: 4000 });
    await shows(session, "reconnecting in 4 s");
    expect(session.written.join("")).toContain("its events broke off: connection refused");
    session.stop.abort();
    await session.running;
  });

  test("a gateway that cannot be followed at all is the command's error, and the terminal is as it was", async () => {
    const session = startSession({
      // oxlint-disable-next-line require-yield -- it fails before it tells anything
      async *follow() {
        throw new CortexError("unauthorized", "a key is needed");
      },
    });
    await expect(session.running).rejects.toThrow("a key is needed");
    expect(session.written.at(-1)).toBe("\u001B[?7h\u001B[?25h\u001B[?1049l");
  });
});
