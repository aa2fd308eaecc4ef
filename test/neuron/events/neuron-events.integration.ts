import { createConnection } from "node:net";
import { EventEmitter, once } from "node:events";
import { expect, test } from "vitest";
import { createNeuronClient, type NeuronClient } from "../../../src/protocol/io/neuron-client.ts";
import type { NumberedEvent } from "../../../src/protocol/io/read-neuron-events.ts";
import { applyNeuronEvent, type NeuronObservation } from "../../../src/protocol/neuron-events.ts";
import { systemClock } from "../../../src/platform/system-clock.ts";
import { eventually } from "../../support/eventually.ts";
import { writeFakeModel } from "../../support/neuron/fake-worker-model.ts";
import { startTestNeuron, type TestNeuron } from "../../support/neuron/neuron-under-test.ts";

/** Follows a neuron in the background. */
class Follower implements AsyncDisposable {
  readonly events: NumberedEvent[] = [];
  seen: NeuronObservation | null = null;
  heartbeats = 0;
  failure: unknown;
  /** Emits "batch" for each batch, and when the stream is over. */
  readonly arrivals = new EventEmitter();
  readonly #leave = new AbortController();
  readonly #client: NeuronClient;
  readonly #done: Promise<void>;

  constructor(neuron: TestNeuron, lastEventId?: string) {
    this.#client = createNeuronClient(
      { name: "n", endpoint: neuron.base },
      { clock: systemClock, callTimeoutMs: 5000 },
    );
    this.#done = this.#follow(lastEventId);
  }

  kinds(): readonly string[] {
    return this.events.map(({ event }) => event.kind);
  }

  /** What each model was seen to be, in order and without repetition. */
  statuses(id: string): readonly string[] {
    const all = this.events.flatMap(({ event }) =>
      event.kind === "model-changed" && event.model.id === id
        ? [event.model.status]
        : event.kind === "model-removed" && event.model_id === id
          ? ["gone"]
          : [],
    );
    return all.filter((status, at) => status !== all[at - 1]);
  }

  async #follow(lastEventId: string | undefined): Promise<void> {
    try {
      for await (const batch of this.#client.events({ lastEventId, signal: this.#leave.signal })) {
        if (batch.length === 0) this.heartbeats += 1;
        for (const numbered of batch) {
          this.events.push(numbered);
          this.seen = applyNeuronEvent(this.seen, numbered.event);
        }
        this.arrivals.emit("batch");
      }
    } catch (thrown) {
      if (!this.#leave.signal.aborted) this.failure = thrown;
    }
    this.arrivals.emit("batch");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#leave.abort();
    await this.#done;
    await this.#client.destroy();
  }
}

const HEAD = "GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n";

test("the whole first, then every change, until both sides know the same", async () => {
  await using neuron = await startTestNeuron();
  writeFakeModel(neuron.store, "alpha");
  await using follower = new Follower(neuron);
  await eventually(() => {
    expect(follower.kinds()).toEqual(["snapshot-taken"]);
  });
  await neuron.load({ model_id: "alpha" });
  await neuron.chat({ model: "alpha" });
  await neuron.unload({ model_id: "alpha" });
  await neuron.call("/drain", { method: "POST" });
  await eventually(async () => {
    const { event_id: _id, ...health } = (await neuron.call<Record<string, unknown>>("/health")).body;
    expect({ ...follower.seen?.health, uptime_secs: 0 }).toEqual({ ...health, uptime_secs: 0 });
    const { jobs } = (await neuron.call<{ jobs: readonly unknown[] }>("/jobs")).body;
    expect(follower.seen?.jobs).toEqual(jobs.toReversed());
    expect(follower.seen?.generation).toBe((await neuron.models()).generation);
  });
  expect(follower.statuses("alpha")).toEqual(["loading", "loaded", "unloading", "gone"]);
  expect(follower.seen?.health.status).toBe("draining");
  expect(follower.seen?.discovery).toEqual((await neuron.call("/discovery")).body);
});

test("goes on after the last event that was seen; of another life it begins anew", async () => {
  await using neuron = await startTestNeuron();
  writeFakeModel(neuron.store, "alpha");
  let lastId: string | undefined;
  {
    await using first = new Follower(neuron);
    await eventually(() => {
      expect(first.events).toHaveLength(1);
    });
    lastId = first.events[0]?.id;
  }
  await neuron.load({ model_id: "alpha" });
  await using resumed = new Follower(neuron, lastId);
  await using stranger = new Follower(neuron, "0123abcd:7");
  await eventually(() => {
    expect(resumed.statuses("alpha")).toEqual(["loading", "loaded"]);
    expect(stranger.kinds()[0]).toBe("snapshot-taken");
  });
  expect(resumed.kinds()).not.toContain("snapshot-taken");
  expect(stranger.seen?.models.map(({ status }) => status)).toEqual(["loaded"]);
});

test("a quiet stream has heartbeats, and ends in good order with the neuron", async () => {
  const neuron = await startTestNeuron();
  await using follower = new Follower(neuron);
  await eventually(() => {
    expect(follower.heartbeats).toBeGreaterThan(0);
  });
  await neuron[Symbol.asyncDispose]();
  await eventually(() => {
    expect(follower.failure).toMatchObject({
      code: "upstream_connection_error",
      message: expect.stringContaining("the events ended") as string,
    });
  });
});

test("the 65th reader is refused by name; a reader that leaves makes room", async () => {
  await using neuron = await startTestNeuron();
  const readers = await Promise.all(
    Array.from({ length: 64 }, async () => {
      const socket = createConnection(neuron.neuron.address.port, "127.0.0.1");
      socket.write(HEAD);
      await once(socket, "data");
      return socket;
    }),
  );
  const refused = await neuron.call("/events");
  expect(refused).toMatchObject({ status: 503, body: { error: { code: "queue_full" } } });
  readers[0]?.destroy();
  await eventually(async () => {
    await using follower = new Follower(neuron);
    await once(follower.arrivals, "batch");
    expect(follower.kinds()).toEqual(["snapshot-taken"]);
  });
  for (const reader of readers) reader.destroy();
});

test("needs the neuron's token like everything that tells of models", async () => {
  await using neuron = await startTestNeuron({ token: "s3cret" });
  expect(await neuron.call("/events")).toMatchObject({ status: 401 });
});
