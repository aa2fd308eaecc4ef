import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { INFERENCE_ROUTES } from "../../src/protocol/openai/inference-routes.ts";
import { MEDIA_ROUTES } from "../../src/protocol/openai/media-routes.ts";
import { writeFakeModel } from "../support/neuron/fake-worker-model.ts";
import { startTestNeuron, type TestNeuron, type WireError } from "../support/neuron/neuron-under-test.ts";

let neuron: TestNeuron;
beforeAll(async () => {
  neuron = await startTestNeuron({ memoryLimitMib: 1000 });
  writeFakeModel(neuron.store, "held", { memoryBytes: 400 * 1024 * 1024 });
  writeFakeModel(neuron.store, "other");
  await neuron.load({ model_id: "held", vram_mb: 400 });
});
afterAll(() => neuron[Symbol.asyncDispose]());

interface Case {
  readonly route: string;
  /** Where parameters of the route have values, and its query. */
  readonly path?: string;
  readonly json?: unknown;
  readonly headers?: Record<string, string>;
  readonly code: string;
  readonly says: RegExp;
  readonly next: RegExp;
}

const MEMORY = { code: "insufficient_vram", next: /unload held, or declare a smaller/ };
const MISSING = "job-none";

const CASES: readonly Case[] = [
  {
    route: "GET /nothing",
    code: "route_not_found",
    says: /GET \/nothing/,
    next: /GET \/version, .*POST \/models\/load/,
  },
  {
    route: "POST /models/load",
    json: {},
    code: "invalid_request_body",
    says: /^model_id:/,
    next: /mend the field/,
  },
  {
    route: "POST /models/load",
    json: { model_id: "held", context: "big" },
    code: "invalid_request_body",
    says: /^context: .*number/,
    next: /mend the field/,
  },
  {
    route: "POST /models/load",
    json: { model_id: "helt" },
    code: "source_not_found",
    says: /did you mean held/,
    next: /put the file/,
  },
  {
    route: "POST /models/load",
    json: { model_id: "x", source: "file:/etc/hostname" },
    code: "source_forbidden",
    says: /^\/etc\/hostname is outside/,
    next: /--model-root/,
  },
  {
    route: "POST /models/load",
    json: { model_id: "x", source: "s3://x" },
    code: "source_unsupported",
    says: /s3:/,
    next: /use hf: or https:/,
  },
  {
    route: "POST /models/load",
    json: { model_id: "other", vram_mb: 700 },
    ...MEMORY,
    says: /needs 700 MiB and device 0 has 600 MiB free of 1000 MiB \(held holds 400 MiB\)/,
  },
  {
    route: "POST /models/load",
    json: { model_id: "other", vram_mb: 7000 },
    code: "insufficient_vram",
    says: /of 1000 MiB/,
    next: /never fits here/,
  },
  {
    route: "POST /models/load",
    json: { model_id: "other", min_devices: 2 },
    code: "no_feasible_neuron",
    says: /needs 2 devices and this neuron has 1/,
    next: /lower min_devices/,
  },
  {
    route: "POST /models/load",
    json: { model_id: "other", devices: [7] },
    code: "invalid_request_body",
    says: /no device 7/,
    next: /GET \/discovery/,
  },
  {
    route: "POST /models/load",
    json: { model_id: "held", parallel: 2 },
    code: "spec_conflict",
    says: /other settings/,
    next: /unload it first/,
  },
  {
    route: "POST /models/load",
    json: { model_id: "other" },
    headers: { "if-match": '"1"' },
    code: "stale_generation",
    says: /generation 1 /,
    next: /plan again/,
  },
  {
    route: "POST /models/load",
    json: { model_id: "other" },
    headers: { "if-match": "x" },
    code: "invalid_request_body",
    says: /If-Match: x/,
    next: /mend the field/,
  },
  {
    route: "POST /models/load",
    json: { model_id: "other" },
    headers: { "cortex-epoch": "-1" },
    code: "invalid_request_body",
    says: /Cortex-Epoch: -1/,
    next: /mend the field/,
  },
  {
    route: "POST /models/estimate",
    json: { models: [{ model_id: "" }] },
    code: "invalid_request_body",
    says: /model_id/,
    next: /mend the field/,
  },
  {
    route: "POST /models/swap",
    json: { evict: ["held"] },
    code: "invalid_request_body",
    says: /^load:/,
    next: /mend the field/,
  },
  {
    route: "POST /models/swap",
    json: { load: { model_id: "held" }, evict: ["held"] },
    code: "invalid_request_body",
    says: /cannot give way to itself/,
    next: /mend the field/,
  },
  {
    route: "POST /models/swap",
    json: { load: { model_id: "other", vram_mb: 7000 }, evict: ["held"] },
    code: "insufficient_vram",
    says: /even without held; nothing was unloaded/,
    next: /never fits here/,
  },
  {
    route: "POST /models/unload",
    json: {},
    code: "invalid_request_body",
    says: /^model_id:/,
    next: /mend the field/,
  },
  {
    route: "GET /models/:id",
    path: "/models/none",
    code: "model_not_found",
    says: /none is not loaded here/,
    next: /GET \/models /,
  },
  {
    route: "GET /jobs/:id",
    path: `/jobs/${MISSING}`,
    code: "job_not_found",
    says: /no job/,
    next: /GET \/jobs/,
  },
  {
    route: "DELETE /jobs/:id",
    path: `/jobs/${MISSING}`,
    code: "job_not_found",
    says: /no job/,
    next: /GET \/jobs/,
  },
  {
    route: "GET /leases/:fleet",
    path: "/leases/-x",
    code: "invalid_request_body",
    says: /no name of a fleet/,
    next: /mend the field/,
  },
  {
    route: "POST /leases/:fleet",
    path: "/leases/x",
    json: {},
    code: "invalid_request_body",
    says: /^\w+: /,
    next: /mend the field/,
  },
  {
    route: "POST /revocations",
    json: { revocations: "x" },
    code: "certificate_refused",
    says: /has no certificate/,
    next: /cortex neuron invite/,
  },
  ...INFERENCE_ROUTES.map((route) => ({
    route: `POST ${route}`,
    json: { model: "none" },
    code: "model_not_found",
    says: /none is not loaded/,
    next: /GET \/models .*POST \/models\/load/,
  })),
  ...[...MEDIA_ROUTES.keys()].map((route) => ({
    route: `POST ${route}`,
    json: {},
    code: "missing_model_field",
    says: /names no model/,
    next: /GET \/models/,
  })),
];

/** They take no body and can refuse nothing. */
const WITHOUT_ERRORS = [
  "GET /version",
  "GET /discovery",
  "GET /health",
  "GET /models",
  "GET /metrics",
  "GET /events",
  "GET /jobs",
  "GET /leases",
  "POST /drain",
  "POST /resume",
];

test.each(CASES)(
  "$route $json: $code, and what to do",
  async ({ route, path, json, headers = {}, code, says, next }) => {
    const [method = "", at = ""] = route.split(" ");
    const wait = /^\/models\/(load|swap)$/.test(at) ? "?wait=1" : "";
    const answer = await neuron.call(`${path ?? at}${wait}`, {
      method,
      headers,
      ...(json === undefined ? {} : { json }),
    });
    expect(answer.body.error).toMatchObject({ code });
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expect(answer.body.error.message).toMatch(says);
    expect(answer.body.error.next).toMatch(next);
  },
);

test("who drains says how it takes models again", async () => {
  await neuron.call("/drain", { method: "POST" });
  const { body } = await neuron.load<WireError>({ model_id: "other" });
  expect(body.error).toMatchObject({
    code: "draining",
    next: expect.stringContaining("POST /resume") as string,
  });
  await neuron.call("/resume", { method: "POST" });
});

test.each(["{", "[]", "a=b"])("a body that says %s is refused for what it is", async (body) => {
  const headers = { "content-type": body === "a=b" ? "text/plain" : "application/json" };
  const response = await fetch(`${neuron.base}/models/load`, { method: "POST", headers, body });
  const { error } = (await response.json()) as WireError;
  expect(["malformed_json", "invalid_request_body", "unsupported_media_type"]).toContain(error.code);
  expect(error.next).not.toBe("");
});

test("no route of a neuron is left out here", () => {
  const directory = fileURLToPath(new URL("../../src/neuron/io/", import.meta.url));
  const sources = readdirSync(directory).map((name) => readFileSync(directory + name, "utf8"));
  const routes = sources.flatMap((text) =>
    [...text.matchAll(/server\.(get|post|delete|put)(?:<[^(]*>)?\("([^"]+)"/g)].map(
      ([, method = "", path = ""]) => `${method.toUpperCase()} ${path}`,
    ),
  );
  expect(routes.length).toBeGreaterThan(15);
  const known = new Set([...CASES.map(({ route }) => route), ...WITHOUT_ERRORS]);
  expect(routes.filter((route) => !known.has(route))).toEqual([]);
});
