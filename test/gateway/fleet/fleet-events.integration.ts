import { createParser } from "eventsource-parser";
import { describe, expect, test } from "vitest";
import { fleetSchema } from "../../../src/fleet/schema/fleet-schema.ts";
import { hashOfSecret } from "../../../src/gateway/keys/key-ring.ts";
import type { RunningGateway } from "../../../src/gateway/io/start-gateway.ts";
import {
  applyFleetStateEvent,
  fleetStateEventSchema,
  type FleetState,
} from "../../../src/protocol/gateway-api.ts";
import { residentModel } from "../../support/neuron/fake-neuron.ts";
import { ask, fakeNeuron, fleetOf, gatewayFor, jsonOf } from "../gateway-bench.ts";

const MODEL = "org/a";

const as = (id: string) => ({ authorization: `Bearer secret-${id}` });

/** A reader of the events: what it has seen so far, in order, and what that adds up to. */
class Follower {
  readonly kinds: string[] = [];
  readonly #leave = new AbortController();
  state: FleetState | null = null;
  lastId = "";
  heartbeats = 0;
  type: string | null = null;
  ended = false;

  async follow(gateway: RunningGateway, headers: Readonly<Record<string, string>> = {}): Promise<void> {
    const { signal } = this.#leave;
    const response = await fetch(`${gateway.address}/fleet/events`, { headers, signal });
    this.type = response.headers.get("content-type");
    const parser = createParser({
      onEvent: ({ id, data }) => {
        const event = fleetStateEventSchema.parse(JSON.parse(data));
        this.kinds.push(event.kind);
        this.lastId = id ?? "";
        this.state = applyFleetStateEvent(this.state, event);
      },
      onComment: () => {
        this.heartbeats += 1;
      },
    });
    const decoder = new TextDecoder();
    void (async () => {
      try {
        for await (const bytes of response.body ?? [])
          parser.feed(decoder.decode(bytes as Uint8Array, { stream: true }));
      } catch {
        // It has left by itself.
      }
      this.ended = true;
    })();
  }

  leave(): void {
    this.#leave.abort();
  }
}

describe("GET /fleet/events", () => {
  test("the whole first, then loads with their progress, memory and traffic as they change", async () => {
    const neuron = await fakeNeuron({ load: { kind: "wait" } });
    const gateway = await gatewayFor(fleetOf({ n1: neuron.url }, [{ id: MODEL }]));
    const follower = new Follower();
    await follower.follow(gateway);
    await expect.poll(() => follower.kinds).toEqual(["snapshot-taken"]);
    expect(follower.type).toBe("text/event-stream; charset=utf-8");
    expect(follower.state?.neurons[0]).toMatchObject({ name: "n1", devices: [{ vram_free_mb: 24_576 }] });
    const asked = ask(gateway, MODEL);
    await expect.poll(() => follower.state?.loads).toMatchObject([{ model: MODEL, node: "n1", waiting: 1 }]);
    await expect.poll(() => follower.state?.queues).toMatchObject([{ model: MODEL, waiting: 1 }]);
    await expect.poll(() => follower.state?.traffic?.requests_in_flight).toBe(1);
    neuron.finishLoad(MODEL);
    expect((await asked).status).toBe(200);
    await expect.poll(() => follower.state?.neurons[0]?.models[0]?.status).toBe("loaded");
    await expect.poll(() => follower.state?.loads).toEqual([]);
    expect(follower.state?.traffic?.requests_per_sec).toBeGreaterThan(0);
    await expect.poll(() => follower.heartbeats, { timeout: 5000 }).toBeGreaterThan(0);
    expect(follower.kinds.filter((kind) => kind === "snapshot-taken")).toHaveLength(1);
  });

  test("goes on after Last-Event-ID, with what changed while nobody followed; an id of another life: the whole", async () => {
    const neuron = await fakeNeuron({ models: [residentModel(MODEL)] });
    const gateway = await gatewayFor(fleetOf({ n1: neuron.url }, [{ id: MODEL }]));
    const first = new Follower();
    await first.follow(gateway);
    await expect.poll(() => first.lastId).not.toBe("");
    first.leave();
    await ask(gateway, MODEL);
    const second = new Follower();
    second.state = first.state;
    await second.follow(gateway, { "last-event-id": first.lastId });
    await expect.poll(() => second.kinds).toContain("traffic-changed");
    expect(second.kinds).not.toContain("snapshot-taken");
    const third = new Follower();
    await third.follow(gateway, { "last-event-id": "elsewhere:7" });
    await expect.poll(() => third.kinds[0]).toBe("snapshot-taken");
  });

  test("is for admins, and ends in good order when the gateway stops", async () => {
    const neuron = await fakeNeuron({ models: [residentModel(MODEL)] });
    const fleet = fleetOf({ n1: neuron.url }, [{ id: MODEL }]);
    const keys = [
      { id: "ci", hash: hashOfSecret("secret-ci") },
      { id: "ops", role: "admin", hash: hashOfSecret("secret-ops") },
    ];
    const gateway = await gatewayFor(fleetSchema.parse({ ...fleet, keys }));
    const refused = await fetch(`${gateway.address}/fleet/events`, { headers: as("ci") });
    expect(refused.status).toBe(403);
    expect(await jsonOf(refused)).toMatchObject({ error: { code: "admin_required" } });
    const follower = new Follower();
    await follower.follow(gateway, as("ops"));
    await expect.poll(() => follower.state).not.toBeNull();
    await gateway.close();
    await expect.poll(() => follower.ended).toBe(true);
  });
});
