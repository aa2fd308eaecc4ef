import { Writable } from "node:stream";
import type { ServerResponse } from "node:http";
import { describe, expect, test } from "vitest";
import { EventFeed } from "../../../src/neuron/events/io/event-feed.ts";
import type { NeuronObservation } from "../../../src/protocol/neuron-events.ts";
import { discoveryOf } from "../../gateway/view-builder.ts";
import { ManualClock } from "../../support/manual-clock.ts";

/** A client that reads only when it is told to. */
class SlowReader extends Writable {
  text = "";
  #go: (() => void) | null = null;

  constructor() {
    super({ highWaterMark: 1 });
  }

  writeHead(): this {
    return this;
  }

  flushHeaders(): void {
    // There is no head.
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString("utf8");
    this.#go = done;
  }

  /** Takes what is under way. */
  read(): void {
    this.#go?.();
  }

  asResponse(): ServerResponse {
    return this as unknown as ServerResponse;
  }
}

function feedOf(clock: ManualClock) {
  let generation = 0;
  const observe = (): NeuronObservation => ({
    generation,
    discovery: discoveryOf([]),
    health: { status: "ok", uptime_secs: generation, devices: [], models: [] },
    models: [],
    jobs: [],
  });
  const feed = new EventFeed({ clock, observe, refreshReadings: () => Promise.resolve() });
  feed.start();
  return {
    feed,
    change: (times: number) => {
      for (let count = 0; count < times; count += 1) {
        generation += 1;
        feed.noticeChange(true);
      }
    },
  };
}

describe("a reader that takes nothing", () => {
  test("costs one write, and gets the whole again when it has fallen behind", async () => {
    const clock = new ManualClock();
    const { feed, change } = feedOf(clock);
    const reader = new SlowReader();
    const served = feed.follow(reader.asResponse(), undefined);
    await clock.advance(0);
    const first = reader.text;
    expect(first).toContain("event: snapshot-taken");
    change(5000);
    await clock.advance(0);
    expect(reader.text).toBe(first);
    reader.read();
    await clock.advance(0);
    const later = reader.text.slice(first.length);
    expect(later.match(/event: /g)).toHaveLength(1);
    expect(later).toContain(`event: snapshot-taken`);
    expect(later).toContain('"generation":5000');
    feed.close();
    reader.read();
    await served;
  });

  test("gets what it missed, in order, when the ring still has it", async () => {
    const clock = new ManualClock();
    const { feed, change } = feedOf(clock);
    const reader = new SlowReader();
    const served = feed.follow(reader.asResponse(), undefined);
    await clock.advance(0);
    change(3);
    reader.read();
    await clock.advance(0);
    expect(reader.text.match(/"generation":(\d)/g)).toEqual([0, 1, 2, 3].map((at) => `"generation":${at}`));
    feed.close();
    reader.read();
    await served;
  });

  test("is cut after half a minute", async () => {
    const clock = new ManualClock();
    const { feed } = feedOf(clock);
    const reader = new SlowReader();
    const served = feed.follow(reader.asResponse(), undefined);
    await clock.advance(29_999);
    expect(reader.destroyed).toBe(false);
    await clock.advance(1);
    await served;
    expect(reader.destroyed).toBe(true);
    feed.close();
  });
});

test("what planners see is told at once, traffic a quarter of a second later and together", async () => {
  const clock = new ManualClock();
  let draining = false;
  const feed = new EventFeed({
    clock,
    observe: () => ({
      generation: 1,
      discovery: discoveryOf([]),
      health: { status: draining ? "draining" : "ok", uptime_secs: 1, devices: [], models: [] },
      models: [],
      jobs: [],
    }),
    refreshReadings: () => Promise.resolve(),
  });
  feed.start();
  const before = feed.lastId;
  draining = true;
  feed.noticeChange(false);
  feed.noticeChange(false);
  await clock.advance(249);
  expect(feed.lastId).toBe(before);
  await clock.advance(1);
  expect(feed.lastId).toBe(before.replace(":0", ":1"));
  draining = false;
  feed.noticeChange(true);
  expect(feed.lastId).toBe(before.replace(":0", ":2"));
  feed.close();
});
