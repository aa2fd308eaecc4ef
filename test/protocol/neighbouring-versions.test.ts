import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import {
  changeResponseSchema,
  discoverySchema,
  healthSchema,
  jobSchema,
  loadRequestSchema,
  modelsResponseSchema,
} from "../../src/protocol/neuron-api.ts";

/** One folder for each version that was recorded. */
const RECORDED = new URL("../fixtures/neuron-answers/", import.meta.url);

const SCHEMAS = {
  "change.json": changeResponseSchema,
  "discovery.json": discoverySchema,
  "health.json": healthSchema,
  "job.json": jobSchema,
  "models.json": modelsResponseSchema,
};

const answerOf = (version: string, file: string): unknown =>
  JSON.parse(readFileSync(new URL(`${version}/${file}`, RECORDED), "utf8"));

/** With another word in the place of the first that is this one. */
const later = (version: string, file: string, ...[word, next]: readonly [string, string]): unknown =>
  JSON.parse(JSON.stringify(answerOf(version, file)).replace(`"${word}"`, `"${next}"`));

describe.each(readdirSync(RECORDED))("a neuron of version %s", (version) => {
  test.each(Object.entries(SCHEMAS))("is understood: %s", (file, schema) => {
    const answer = answerOf(version, file);
    expect(schema.parse(answer)).toMatchObject(answer as object);
  });

  test("and so is one that uses words which came later", () => {
    expect(discoverySchema.parse(later(version, "discovery.json", "cpu", "tpu")).devices).toMatchObject([
      { kind: "unknown", name: expect.any(String) as unknown },
    ]);
    expect(healthSchema.parse(later(version, "health.json", "ok", "resting"))).toMatchObject({
      status: "unknown",
    });
    expect(
      modelsResponseSchema.parse(later(version, "models.json", "loaded", "parked")).models,
    ).toMatchObject([{ status: "unknown", id: "demo" }]);
    // Nobody's of ours: left alone, as a person's is.
    expect(
      modelsResponseSchema.parse(later(version, "models.json", "request", "schedule")).models,
    ).toMatchObject([{ origin: { kind: "manual" } }]);
    expect(jobSchema.parse(later(version, "job.json", "done", "thinking"))).toMatchObject({
      state: "unknown",
    });
    expect(jobSchema.parse(later(version, "job.json", "load", "move"))).toMatchObject({ kind: "unknown" });
    expect(changeResponseSchema.parse(later(version, "change.json", "pending", "put off"))).toMatchObject({
      status: "unknown",
    });
  });

  test("a spec with settings of a later version is left out, not believed in part", () => {
    const said = JSON.stringify(answerOf(version, "models.json")).replace(
      '"harness":"llama","source"',
      '"harness":"mlx","source"',
    );
    expect(modelsResponseSchema.parse(JSON.parse(said)).models[0]?.spec).toBeUndefined();
  });
});

test("what is asked of a neuron stays strict", () => {
  const asked = { model_id: "demo", origin: { kind: "request" } };
  expect(loadRequestSchema.safeParse(asked).success).toBe(true);
  expect(loadRequestSchema.safeParse({ ...asked, harness: "mlx" }).success).toBe(false);
  expect(loadRequestSchema.safeParse({ ...asked, origin: { kind: "schedule" } }).success).toBe(false);
});
