import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { chatCompletionSchema } from "../../src/protocol/openai/chat.ts";
import { errorEnvelopeSchema } from "../../src/protocol/error-envelope.ts";
import { runsOf } from "../support/long-runs.ts";
import { spawnWorker, type SpawnedWorker } from "../support/neuron/spawned-worker.ts";
import { tinyModelFile } from "../support/neuron/tiny-model.ts";
import { workerHttp, type WorkerHttp } from "../support/neuron/worker-http.ts";

// A schema is enforced or refused by name: an answer under it that ended by itself is valid, as zod's reading of JSON
// Schema has it, which shares nothing with the grammar. The model is noise, so it goes every way that is left open.

const RUNS = runsOf({ ci: 80, fuzz: 1000 });
const MAX_TOKENS = 400;

let worker: SpawnedWorker;
let http: WorkerHttp;

beforeAll(async () => {
  worker = await spawnWorker(await tinyModelFile({ contextLength: 2048 }), { parallel: 1 });
  http = workerHttp(worker.socketPath);
});
afterAll(async () => {
  await http.close();
  await worker.stop();
});

const name = fc.constantFrom("a", "b", "size", 'quote"d', "ü");
const small = fc.integer({ min: 0, max: 4 });
const scalar = fc.oneof(
  fc.string({ maxLength: 5 }),
  fc.integer({ min: -50, max: 50 }),
  fc.boolean(),
  fc.constant(null),
);

const { schema } = fc.letrec<{ schema: Record<string, unknown> }>((tie) => ({
  schema: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    fc.record({ type: fc.constantFrom("boolean", "null") }),
    fc
      .tuple(small, small)
      .map(([least, more]) => ({ type: "string", minLength: least, maxLength: least + more })),
    fc
      .tuple(fc.integer({ min: -2000, max: 2000 }), fc.nat(3000))
      .map(([minimum, span]) => ({ type: "integer", minimum, maximum: minimum + span })),
    fc.record({ type: fc.constant("integer"), exclusiveMinimum: fc.integer({ min: -9, max: 9 }) }),
    fc.record({ type: fc.constant("number"), minimum: fc.constantFrom(0, 1) }),
    fc.record({ enum: fc.uniqueArray(scalar, { minLength: 1, maxLength: 4 }) }),
    fc.record({ const: scalar }),
    fc.tuple(tie("schema"), small, small).map(([items, least, more]) => ({
      type: "array",
      items,
      minItems: least,
      maxItems: least + more,
    })),
    fc
      .tuple(
        fc.dictionary(name, tie("schema"), { maxKeys: 3 }),
        fc.boolean(),
        fc.constantFrom(false, undefined),
      )
      .map(([properties, all, additionalProperties]) => ({
        type: "object",
        properties,
        required: all ? Object.keys(properties) : Object.keys(properties).slice(0, 1),
        ...(additionalProperties === undefined ? {} : { additionalProperties }),
      })),
    fc.record({ anyOf: fc.array(tie("schema"), { minLength: 1, maxLength: 3 }) }),
    // What no grammar enforces, among what one does.
    fc.record({ type: fc.constant("string"), pattern: fc.constantFrom("^a+$", "x") }),
    fc.record({ type: fc.constant("array"), items: tie("schema"), uniqueItems: fc.constant(true) }),
  ),
}));

function checkRefusal(body: unknown): void {
  const { error } = errorEnvelopeSchema.parse(body);
  expect(error.code, error.message).toBe("unsupported_parameter");
}

test("an answer under a schema is valid, or the schema is refused", async () => {
  let ended = 0;
  await fc.assert(
    fc.asyncProperty(schema, fc.nat(1000), async (wanted, seed) => {
      const answer = await http.post("/v1/chat/completions", {
        messages: [{ role: "user", content: "go" }],
        response_format: { type: "json_schema", json_schema: { name: "x", schema: wanted } },
        max_tokens: MAX_TOKENS,
        temperature: 1,
        seed,
      });
      if (answer.status !== 200) {
        checkRefusal(answer.body);
        return;
      }
      const [choice] = chatCompletionSchema.parse(answer.body).choices;
      // An answer that had no room to end is no answer under the schema, and says so.
      if (choice?.finish_reason === "length") return;
      ended += 1;
      const written: unknown = JSON.parse(choice?.message.content ?? "");
      const { success, error } = z.fromJSONSchema(wanted).safeParse(written);
      expect(success, `${JSON.stringify(written)}: ${error?.message ?? ""}`).toBe(true);
    }),
    { numRuns: RUNS, endOnFailure: true },
  );
  expect(ended).toBeGreaterThan(RUNS / 4);
  expect(await http.health()).toMatchObject({ slots_busy: 0, queued: 0 });
});
