import { describe, expect, test } from "vitest";
import { fleetStateSchema } from "../../src/protocol/gateway-api.ts";
import type { RunningGateway } from "../../src/gateway/io/start-gateway.ts";
import { residentModel } from "../support/neuron/fake-neuron.ts";
import { ask, fakeNeuron, fleetOf, fleetWith, gatewayFor, received } from "./gateway-bench.ts";

const MODEL = "org/a";

const neuronsOf = async (gateway: RunningGateway) => {
  const state = fleetStateSchema.parse(await (await fetch(`${gateway.address}/fleet`)).json());
  return state.neurons.map(({ name, health }) => [name, health]);
};

describe("other fleet files while requests are under way", () => {
  test("a neuron comes, one goes, and no connection is dropped", async () => {
    const first = await fakeNeuron({
      models: [residentModel(MODEL)],
      answer: { kind: "hold", tokens: ["Hel"] },
    });
    const second = await fakeNeuron({ models: [residentModel(MODEL)] });
    const gateway = await gatewayFor(fleetOf({ a: first.url }, [{ id: MODEL }]));
    const held = await ask(gateway, MODEL, { stream: true });
    gateway.reload({ fleet: fleetOf({ b: second.url }, [{ id: MODEL }], { nick: MODEL }) });
    await expect.poll(() => neuronsOf(gateway)).toEqual([["b", "healthy"]]);
    const answer = await ask(gateway, "nick");
    expect(answer.headers.get("x-cortex-neuron")).toBe("b");
    first.release();
    const { text, complete } = await received(held);
    expect(complete).toBe(true);
    expect(text.endsWith("data: [DONE]\n\n")).toBe(true);
    const polled = first.callsTo("GET", "/health").length;
    await second.until((fake) => fake.callsTo("GET", "/health").length > 3);
    expect(first.callsTo("GET", "/health").length).toBeLessThanOrEqual(polled + 1);
  });

  test("a neuron under another address is another one, also by the same name", async () => {
    const first = await fakeNeuron({ models: [residentModel(MODEL)] });
    const second = await fakeNeuron();
    const gateway = await gatewayFor(fleetOf({ a: first.url }, [{ id: MODEL }]));
    gateway.reload({ fleet: fleetOf({ a: second.url }, [{ id: MODEL }]) });
    await expect.poll(() => neuronsOf(gateway)).toEqual([["a", "healthy"]]);
    expect((await ask(gateway, MODEL)).status).toBe(200);
    expect(second.callsTo("POST", "/models/load")).toHaveLength(1);
  });

  test("what it serves is told anew, but for the addresses, which a restart alone moves", async () => {
    const fleet = fleetOf({}, [{ id: MODEL }]);
    const gateway = await gatewayFor(fleet);
    const moved = { ...fleet.gateway, listen: "0.0.0.0:39999", metrics_listen: "127.0.0.1:39998" };
    gateway.reload({ fleet: { ...fleet, aliases: { nick: MODEL }, gateway: moved } });
    const { declared } = fleetStateSchema.parse(await (await fetch(`${gateway.address}/fleet`)).json());
    const { listen, metrics_listen } = fleet.gateway;
    expect(declared.aliases).toEqual({ nick: MODEL });
    expect(declared.gateway).toMatchObject({ listen, metrics_listen });
  });

  test("limits, hosts and keys are those of the new files", async () => {
    const neuron = await fakeNeuron({ models: [residentModel(MODEL)] });
    const gateway = await gatewayFor(fleetOf({ a: neuron.url }, [{ id: MODEL }]));
    const headers = { origin: "https://chat.example" };
    expect((await ask(gateway, MODEL, { headers })).status).toBe(403);
    gateway.reload({
      fleet: fleetWith({ a: neuron.url }, [{ id: MODEL }], { origins: ["https://chat.example"] }),
    });
    expect((await ask(gateway, MODEL, { headers })).status).toBe(200);
    gateway.reload({
      fleet: { ...fleetOf({ a: neuron.url }, [{ id: MODEL }]), keys: [KEY] },
    });
    expect((await ask(gateway, MODEL)).status).toBe(401);
  });
});

const KEY = {
  id: "ci",
  hash: `sha256:${"0".repeat(64)}`,
  models: ["*"],
  window: { kind: "balance" as const },
  role: "client" as const,
};
