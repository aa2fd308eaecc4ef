import { execFile } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { gatewaySeries } from "../../scripts/exported-series.ts";
import { fleetSchema } from "../../src/fleet/schema/fleet-schema.ts";
import { hashOfSecret } from "../../src/gateway/keys/key-ring.ts";
import { ask, fakeNeuron, gatewayFor, metricsOf } from "../gateway/gateway-bench.ts";
import { residentModel } from "../support/neuron/fake-neuron.ts";

interface Sample {
  readonly name: string;
  readonly labels: readonly string[];
}

const samplesIn = (exposition: string): readonly Sample[] =>
  [...exposition.matchAll(/^(\w+)(?:\{(.*)\})? \S+$/gm)].map(([, name = "", labels = ""]) => ({
    name,
    labels: [...labels.matchAll(/(\w+)="/g)].map(([, label = ""]) => label),
  }));

test("a gateway at work exports the series that dashboards are made from, and no others", async () => {
  const neuron = await fakeNeuron({
    models: [
      residentModel("org/a"),
      residentModel("org/wedged", { servable: { ok: false, reason: "wedged", detail: "no" } }),
    ],
  });
  const as = { authorization: "Bearer secret-anna" };
  const gateway = await gatewayFor(
    fleetSchema.parse({
      fleet: { name: "test" },
      neurons: [{ name: "n1", endpoint: neuron.url }],
      models: [
        { id: "org/a", replicas: 2 },
        { id: "org/cold", replicas: 0 },
      ],
      keys: [{ id: "anna", hash: hashOfSecret("secret-anna"), hard_cap: 100_000, requests_per_minute: 4 }],
    }),
  );
  const send = async (model: string, stream = false) =>
    (await ask(gateway, model, { headers: as, stream })).text().catch(() => "cut");
  await send("org/a", true);
  await send("org/cold");
  neuron.answer = { kind: "cut", tokens: ["half"] };
  await send("org/a", true);
  neuron.answer = { kind: "status", status: 500, body: { error: { message: "no", type: "api_error" } } };
  await send("org/a");
  await send("org/a");
  const exposition = await metricsOf(gateway);
  const declared = gatewaySeries();
  const types = [...exposition.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => `${name} ${type}`);
  expect(types.toSorted()).toEqual(declared.map(({ name, type }) => `${name} ${type}`).toSorted());
  const labelsOf = new Map(declared.map(({ name, labels }) => [name, [...labels].toSorted()]));
  const samples = samplesIn(exposition);
  const odd = samples.filter(({ name, labels }) => {
    const own = labelsOf.get(name) ?? labelsOf.get(name.replace(/_(?:bucket|sum|count)$/, ""));
    return (
      own?.join() !==
      labels
        .filter((label) => label !== "le")
        .toSorted()
        .join()
    );
  });
  expect(odd).toEqual([]);
  expect(exposition).toContain('cortex_model_servable{node="n1",model="org/wedged"} 0');
  expect(exposition).toContain('cortex_model_servable{node="n1",model="org/a"} 1');
  expect(exposition).toContain('cortex_model_declared_copies{model="org/a"} 2');
  expect(exposition).toContain('cortex_model_serving_copies{model="org/a"} 1');
  expect(exposition).toContain('cortex_key_budget_tokens{key="anna"} 100000');
  expect(exposition).toMatch(/cortex_key_budget_used_tokens\{key="anna"\} [1-9]/);
  expect(exposition).toContain('cortex_key_refusals_total{key="anna",limit="requests-per-minute"} 1');
  expect(exposition).toMatch(/cortex_streams_cut_total\{model="org\/a",node="n1"\} 1/);
});

function findPromtool(): string | undefined {
  const found = (process.env["PATH"] ?? "")
    .split(delimiter)
    .map((directory) => join(directory, "promtool"))
    .find(isExecutable);
  if (found === undefined)
    process.stderr.write("what needs promtool is left out (apt-get install prometheus)\n");
  return found;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

test.skipIf(findPromtool() === undefined)(
  "promtool passes the alerts, their tests and the panels",
  async () => {
    const script = fileURLToPath(new URL("../../dashboards/check", import.meta.url));
    const { stdout } = await promisify(execFile)("bash", [script]);
    expect(stdout.match(/SUCCESS/g)).toHaveLength(3);
  },
);
