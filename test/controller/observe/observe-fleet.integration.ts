import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { observeFleet } from "../../../src/controller/observe/io/observe-fleet.ts";
import { modelBlockSchema } from "../../../src/fleet/schema/fleet-schema.ts";
import { modelSpecFromBlock } from "../../../src/protocol/model-spec.ts";
import { specHash } from "../../../src/protocol/spec-hash.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import { publishRepository, startFileServer } from "../../support/neuron/file-server.ts";
import { writeTinyGguf } from "../../support/neuron/gguf-writer.ts";
import { startTestNeuron } from "../../support/neuron/neuron-under-test.ts";
import { ScriptedNeuron } from "../../support/neuron/scripted-neuron.ts";
import { observedNeuron, residentModel } from "../observed-fleet-builders.ts";

const block = (name: string, endpoint: string) => ({ name, endpoint, labels: {}, drain: false, weight: 1 });
const facts = observedNeuron("a", {
  devices: [8000],
  residents: [residentModel({ id: "m", vramMb: 5 })],
  generation: 4,
});

test("a neuron is observed as it is, with the token that it asks for", async () => {
  await using neuron = await ScriptedNeuron.start(facts, { token: "secret" });
  const fleet = { neurons: [block("a", neuron.endpoint)] };
  const observed = await observeFleet(fleet, {
    clock: new ManualClock(1_000),
    neuronAccess: { token: "secret" },
  });
  expect(observed).toEqual({ observedAtMs: 1_000, neurons: [{ ...facts, endpoint: neuron.endpoint }] });
});

test.each([
  ["refuses the token", { token: "secret" }, "refuses the token (the token is missing or wrong)"],
  [
    "is another server",
    { answer: { status: 200, body: "<html>" } },
    "answers /discovery with something that no neuron says",
  ],
  ["is broken", { answer: { status: 500, body: "oops" } }, "answered with HTTP 500"],
  ["says nothing", { silent: true }, "no answer within 0.2 s"],
])("a neuron that %s is a fact with its problem in words", async (_name, script, problem) => {
  await using neuron = await ScriptedNeuron.start(facts, "token" in script ? { token: script.token } : {});
  neuron.silent = "silent" in script;
  neuron.answer = "answer" in script ? script.answer : undefined;
  const fleet = { neurons: [block("a", neuron.endpoint)] };
  const clock = new ManualClock();
  const observing = observeFleet(fleet, { clock, timeoutMs: 200 });
  if (neuron.silent) {
    await Promise.all(["/discovery", "/health", "/models"].map((path) => neuron.called(path)));
    await clock.advance(200);
  }
  const { neurons } = await observing;
  expect(neurons[0]).toMatchObject({ name: "a", reachable: false });
  expect(neurons[0]?.reachable === false ? neurons[0].problem : "").toContain(problem);
});

test("one silent neuron does not hide the others, and the order is the fleet's", async () => {
  await using alive = await ScriptedNeuron.start(facts);
  const gone = await ScriptedNeuron.start(facts);
  const goneEndpoint = gone.endpoint;
  await gone[Symbol.asyncDispose]();
  const fleet = { neurons: [block("gone", goneEndpoint), block("alive", alive.endpoint)] };
  const { neurons } = await observeFleet(fleet, { clock: new ManualClock(1_000) });
  expect(neurons.map((neuron) => [neuron.name, neuron.reachable])).toEqual([
    ["gone", false],
    ["alive", true],
  ]);
  expect(neurons[0]).toMatchObject({ problem: "connection refused" });
});

test("what models take is known at the first look, before anything was loaded", async () => {
  await using neuron = await startTestNeuron();
  await writeFile(join(neuron.store, "tiny.gguf"), writeTinyGguf());
  const models = ["tiny", "gone"].map((id) => modelBlockSchema.parse({ id, context: 1024 }));
  const asked = { neurons: [block("a", neuron.base)], models };
  const [seen] = (await observeFleet(asked, { clock: new ManualClock() })).neurons;
  const spec_hash = specHash(modelSpecFromBlock(modelBlockSchema.parse({ id: "tiny", context: 1024 })));
  expect(seen?.reachable === true ? seen.discovery.facts : []).toMatchObject([
    { model_id: "tiny", spec_hash, source: "metadata", cache_bytes_per_token: 2048 },
  ]);
});

test("what a model takes that no neuron has fetched is known too, with what would be fetched", async () => {
  await using server = await startFileServer();
  const file = writeTinyGguf();
  publishRepository(server, "far", { "m.gguf": file });
  await using neuron = await startTestNeuron({ hub: { endpoint: server.base, token: undefined } });
  const models = [modelBlockSchema.parse({ id: "far", source: "hf:org/far", context: 1024 })];
  const asked = { neurons: [block("a", neuron.base)], models };
  const [seen] = (await observeFleet(asked, { clock: new ManualClock() })).neurons;
  expect(seen?.reachable === true ? seen.discovery.facts : []).toMatchObject([
    { model_id: "far", source: "metadata", cache_bytes_per_token: 2048, fetch_bytes: file.length },
  ]);
});

test("a neuron of a version that estimates nothing is planned with all the same", async () => {
  await using neuron = await ScriptedNeuron.start(facts);
  const asked = { neurons: [block("a", neuron.endpoint)], models: [modelBlockSchema.parse({ id: "x" })] };
  const { neurons } = await observeFleet(asked, { clock: new ManualClock() });
  expect(neurons).toMatchObject([{ reachable: true, models: [{ id: "m" }] }]);
});
