import { expect, test } from "vitest";
import {
  declaredHash,
  fleetFromToml,
  observedFleet,
  observedNeuron,
  plan,
} from "../observed-fleet-builders.ts";

const FAR = 'source = "hf:acme/m-GGUF:Q4_K_M"';
const BESIDE = 'source = "m"\ndraft = "hf:acme/draft"';

test.each([
  { what: "its source", settings: FAR, told: 5, expected: 5 },
  { what: "its draft", settings: BESIDE, told: 7, expected: 7 },
  { what: "nothing, since all is there", settings: FAR, told: 0, expected: 0 },
  { what: "a source of which nobody knows", settings: FAR, told: undefined, expected: null },
])("a load fetches $what", ({ settings, told, expected }) => {
  const fleet = fleetFromToml(`[[models]]\nid = "m"\nreplicas = 1\nvram_mb = 1000\n${settings}\n`, ["a"]);
  const neuron = observedNeuron("a", { devices: [8000] });
  const fact = {
    model_id: "m",
    spec_hash: declaredHash(fleet, "m"),
    source: "metadata" as const,
    vram_mb: 1000,
    ...(told === undefined ? {} : { fetch_bytes: told }),
  };
  const observed = observedFleet({ ...neuron, discovery: { ...neuron.discovery, facts: [fact] } });
  expect(plan(fleet, observed).changes).toMatchObject([{ kind: "load", download_bytes: expected }]);
});
