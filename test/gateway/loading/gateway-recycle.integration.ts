import { expect, test } from "vitest";
import { fleetSchema } from "../../../src/fleet/schema/fleet-schema.ts";
import { residentModel } from "../../support/neuron/fake-neuron.ts";
import { fakeNeuron, gatewayFor, metricsOf } from "../gateway-bench.ts";

const MODEL = "org/a";

test("a worn copy beside which another serves is asked to come back, under its neuron's generation", async () => {
  const worn = await fakeNeuron({ models: [residentModel(MODEL, { cycles: 7 })] });
  const fresh = await fakeNeuron({ models: [residentModel(MODEL, { cycles: 6 })] });
  const { generation } = worn;
  const fleet = fleetSchema.parse({
    fleet: { name: "test" },
    eviction: { defrag_after_cycles: 7, drain_secs: 5 },
    neurons: [
      { name: "a", endpoint: worn.url },
      { name: "b", endpoint: fresh.url },
    ],
    models: [{ id: MODEL, replicas: 2 }],
  });
  const gateway = await gatewayFor(fleet);
  await worn.until((fake) => fake.callsTo("POST", "/models/unload").length === 1);
  const [call] = worn.callsTo("POST", "/models/unload");
  expect(JSON.parse(call?.body ?? "")).toEqual({ model_id: MODEL, drain_timeout_secs: 5, reload: true });
  expect(call?.headers["if-match"]).toBe(`"${generation}"`);
  await expect
    .poll(() => metricsOf(gateway))
    .toContain(`cortex_evictions_total{model="org/a",node="a",reason="recycle"} 1`);
  expect(fresh.callsTo("POST", "/models/unload")).toHaveLength(0);
});
