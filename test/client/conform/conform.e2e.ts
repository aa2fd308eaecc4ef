import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ConformReport } from "../../../src/client/conform/conform-report.ts";
import { runCortex } from "../../support/cortex-process.ts";
import { applyFleet, type RunningFleet, sourceOf, startFleet } from "../../support/fleet/running-fleet.ts";

const DEMO_MODEL = fileURLToPath(new URL("../../../assets/demo/cortex-demo.gguf", import.meta.url));
const DIALECTS = ["openai", "anthropic", "responses", "ollama"] as const;

/** A load of 4 s each, from what a simulated disk reads. */
const ON_DEMAND = DIALECTS.map(
  (name) => `[[models]]
id = "cold/${name}"
source = "hf:org/cold-${name}"
vram_mb = 12000
parallel = 1
`,
).join("\n");

let fleet: RunningFleet;

beforeAll(async () => {
  fleet = await startFleet({
    neuronNames: ["local"],
    modelPath: DEMO_MODEL,
    neuronFlags: ["--simulate", "2x32GiB RTX 5090"],
    models: `[[models]]
id = "cortex/demo"
source = "${sourceOf(DEMO_MODEL)}"
replicas = 1
parallel = 2

${ON_DEMAND}`,
  });
  await applyFleet(fleet);
});

afterAll(async () => {
  await fleet[Symbol.asyncDispose]();
});

test.each(DIALECTS)("%s: gateway, neuron and engine conform, also while a model loads", async (dialect) => {
  const { code, stdout, stderr } = await runCortex([
    "conform",
    fleet.gatewayUrl,
    "--dialect",
    dialect,
    "--model",
    "cortex/demo",
    "--cold",
    `cold/${dialect}`,
    "--json",
  ]);
  expect(stderr).toBe("");
  const report = JSON.parse(stdout) as ConformReport;
  expect(report.steps.flatMap(({ breaches }) => breaches)).toEqual([]);
  expect(code).toBe(0);
  // The head comes at once, and the load is waited for.
  expect(report.coldLoad?.headMs).toBeLessThan(3000);
  expect(report.coldLoad?.endMs).toBeGreaterThan(3000);
  expect(report.coldLoad?.events).toBeGreaterThan(3);
});

test.each([
  { client: "claude-code", dialect: "anthropic" },
  { client: "codex", dialect: "responses" },
  { client: "opencode", dialect: "openai" },
  { client: "ollama", dialect: "ollama" },
])("cortex connect $client --check asks as that client would", async ({ client, dialect }) => {
  const gateway = ["--gateway", fleet.gatewayUrl];
  const { code, stdout, stderr } = await runCortex([
    "connect",
    client,
    ...gateway,
    "--model",
    "cortex/demo",
    "--check",
    "--json",
  ]);
  expect(stderr).toBe("");
  const { check } = JSON.parse(stdout) as { readonly check: ConformReport };
  expect(check.dialect).toBe(dialect);
  expect(check.steps.flatMap(({ breaches }) => breaches)).toEqual([]);
  expect(check.steps.filter(({ outcome }) => outcome === "kept").length).toBeGreaterThan(3);
  expect(code).toBe(0);
  const lost = await runCortex(["connect", client, ...gateway, "--model", "no/such", "--check", "--json"]);
  expect(lost.code).toBe(1);
});
