import fc from "fast-check";
import { expect, test } from "vitest";
import { importLive, type LiveNeuron } from "../../../src/controller/adopt/live.ts";
import { EMPTY_IMPORT, type ImportedFleet } from "../../../src/controller/adopt/imported/import-report.ts";
import { shellWords } from "../../../src/controller/adopt/llama-swap/shell-words.ts";
import { writeFleetToml } from "../../../src/controller/adopt/imported/write-fleet-toml.ts";
import type { Fleet } from "../../../src/fleet/schema/fleet-schema.ts";
import { parseFleet } from "../../../src/fleet/load-fleet.ts";
import { modelSpecSchema, type ModelSpec } from "../../../src/protocol/neuron-api.ts";
import { specHash } from "../../../src/protocol/spec-hash.ts";
import { observedFleet, observedNeuron, plan, residentModel, rowsOf } from "../observed-fleet-builders.ts";

const HEAD = { fleetName: "home", origin: "a test" };

function readBack(imported: ImportedFleet): Fleet {
  const result = parseFleet(writeFleetToml(imported, HEAD));
  if (!result.ok) throw new Error(result.error.map(({ message }) => message).join("\n"));
  return result.value.fleet;
}

const specs = fc.record({
  source: fc.constantFrom(undefined, "q.gguf", "file:/srv/a b.gguf", "hf:org/repo@v1:Q4_K_M"),
  sha256: fc.constantFrom(undefined, "0".repeat(64)),
  context: fc.constantFrom(undefined, 4096, 131_072),
  parallel: fc.integer({ min: 1, max: 256 }),
  min_devices: fc.constantFrom(1, 2),
});

interface Copy {
  readonly model: number;
  readonly vramMb: number;
  readonly origin: "revision" | "request" | "manual";
}

const copies = fc.array(
  fc.record<Copy>({
    model: fc.integer({ min: 0, max: 4 }),
    vramMb: fc.integer({ min: 2, max: 4000 }),
    origin: fc.constantFrom("revision", "request", "manual"),
  }),
  { maxLength: 4 },
);

test("after an import from the live fleet the plan is empty, whatever was loaded and by whom", () => {
  const fleets = fc.record({
    specs: fc.array(specs, { minLength: 5, maxLength: 5 }),
    neurons: fc.array(copies, { minLength: 1, maxLength: 4 }),
    knows: fc.boolean(),
  });
  fc.assert(
    fc.property(fleets, ({ specs: settings, neurons, knows }) => {
      const byModel = settings.map((each, index): ModelSpec =>
        modelSpecSchema.parse({ ...each, model_id: `org/m${index}` }),
      );
      const observed = observedFleet(
        ...neurons.map((held, index) => {
          const once = held.filter(
            ({ model }, at) => held.findIndex((other) => other.model === model) === at,
          );
          return observedNeuron(`n${index}`, {
            devices: [24_576, 24_576],
            residents: once.map(({ model, vramMb, origin }) => {
              const spec = byModel[model] ?? modelSpecSchema.parse({ model_id: "none" });
              const hash = specHash(spec);
              const devices = spec.min_devices === 2 ? [0, 1] : [0];
              const resident = residentModel({ id: spec.model_id, vramMb, devices, origin, specHash: hash });
              return knows
                ? { ...resident, parallel: spec.parallel, spec }
                : { ...resident, parallel: spec.parallel };
            }),
          });
        }),
      );
      const live = observed.neurons.flatMap((neuron): LiveNeuron[] => (neuron.reachable ? [neuron] : []));
      const imported = importLive(live);
      fc.pre(imported.models.length > 0);
      // Settings that a neuron keeps to itself and that cannot be guessed are told, never passed over.
      fc.pre(imported.notes.length === 0);
      const document = plan(readBack(imported), observed);
      expect(rowsOf(document)).toEqual([]);
      expect(document.complete).toBe(true);
    }),
    { numRuns: 200 },
  );
});

test("what is written is what is read back, whatever the texts hold", () => {
  const text = fc.string({ unit: "binary", maxLength: 12 }).filter((value) => !value.includes("\uFFFD"));
  const id = fc
    .string({ unit: "grapheme", minLength: 1, maxLength: 12 })
    .filter((value) => /^\S+$/.test(value) && !/[\uFFFD]|^(?:__proto__|constructor)$/.test(value));
  const imports = fc.record({
    ids: fc.uniqueArray(id, { minLength: 1, maxLength: 4 }),
    capability: text.filter((value) => value !== ""),
    label: text,
    cost: fc.double({ min: 0, max: 1e6, noNaN: true }),
  });
  fc.assert(
    fc.property(imports, ({ ids, capability, label, cost }) => {
      const fleet = readBack({
        ...EMPTY_IMPORT,
        neurons: [{ name: "n", endpoint: "http://n:1", labels: { room: label } }],
        models: ids.map((each) => ({
          id: each,
          capabilities: [capability],
          cost: { input: cost },
          limit: { context: 5 },
        })),
        aliases: Object.fromEntries(ids.map((each) => [`alias-${each}`, each])),
      });
      expect(fleet.models.map((model) => model.id)).toEqual(ids);
      expect(fleet.models[0]).toMatchObject({
        capabilities: [capability],
        cost: { input: cost },
        limit: { context: 5 },
      });
      expect(fleet.neurons[0]?.labels).toEqual({ room: label });
      expect(fleet.aliases[`alias-${ids[0] ?? ""}`]).toBe(ids[0]);
    }),
  );
});

/** A word as a shell reads it back. */
const quoted = (text: string) => `'${text.replaceAll("'", String.raw`'\''`)}'`;

test("words quoted for a shell are read back as they were", () => {
  const word = fc.string({ unit: "grapheme-ascii", maxLength: 10 }).filter((text) => !text.startsWith("#"));
  fc.assert(
    fc.property(fc.array(word, { maxLength: 6 }), (words) => {
      expect(shellWords(words.map(quoted).join(" \\\n  "))).toEqual(words);
    }),
  );
});
