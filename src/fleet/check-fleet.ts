import { nearest } from "../core/nearest.ts";
import type { Declared, DeclaredFleet } from "./declared-blocks.ts";
import { diagnostic, type Diagnostic, type Finding } from "./diagnostics.ts";
import type { ModelBlock } from "./fleet-schema.ts";
import type { MergedFleetDocument } from "./merge-fleet-files.ts";
import type { KeyPath } from "./toml-locator.ts";

interface CheckContext {
  readonly declared: DeclaredFleet;
  readonly merged: MergedFleetDocument;
}

/** The rules that no schema can state: references, duplicates and figures that contradict each other. */
export function checkFleet(context: CheckContext): Diagnostic[] {
  const { declared, merged } = context;
  const models = declared.models.flatMap(({ block, path }) => (block === undefined ? [] : [{ block, path }]));
  const findings: Finding[] = [
    ...emptyTables(context),
    ...duplicates(declared.neurons, { merged, nameKey: "name", what: "neuron" }),
    ...duplicates(declared.models, { merged, nameKey: "id", what: "model" }),
    ...duplicateEndpoints(context),
    ...declared.aliases.flatMap((alias) => aliasFindings(alias, context)),
    ...models.flatMap((model) => [
      ...pinFindings(model, context),
      ...replicaFindings(model, context),
      ...limitFindings(model, merged),
      ...sourceFindings(model, merged),
      ...shapeFindings(model, merged),
    ]),
  ];
  return findings.map(diagnostic);
}

function emptyTables({ declared, merged }: CheckContext): Finding[] {
  const findings: Finding[] = [];
  if (declared.models.length === 0 && merged.valueAt(["models"]) === undefined) {
    findings.push({
      code: "CTX113",
      at: merged.placeOfKey(["fleet"]),
      message: "the fleet declares no models",
    });
  }
  if (declared.neurons.length === 0 && merged.valueAt(["neurons"]) === undefined) {
    const message = "the fleet declares no neurons: nothing can be placed";
    findings.push({ code: "CTX114", at: merged.placeOfKey(["fleet"]), message });
  }
  return findings;
}

function duplicates(
  blocks: readonly Declared<unknown>[],
  context: { readonly merged: MergedFleetDocument; readonly nameKey: string; readonly what: string },
): Finding[] {
  const { merged, nameKey, what } = context;
  const first = new Map<string, KeyPath>();
  return blocks.flatMap(({ name, path }) => {
    if (name === undefined) return [];
    const firstPath = first.get(name);
    if (firstPath === undefined) {
      first.set(name, path);
      return [];
    }
    return [
      sameValueTwice(
        { code: "CTX106", what: `${what} \`${name}\``, first: firstPath, second: path, key: nameKey },
        merged,
      ),
    ];
  });
}

function duplicateEndpoints({ declared, merged }: CheckContext): Finding[] {
  const first = new Map<string, KeyPath>();
  return declared.neurons.flatMap(({ block, path }) => {
    if (block === undefined) return [];
    const firstPath = first.get(block.endpoint);
    if (firstPath === undefined) {
      first.set(block.endpoint, path);
      return [];
    }
    const what = `endpoint ${block.endpoint}`;
    return [
      sameValueTwice({ code: "CTX107", what, first: firstPath, second: path, key: "endpoint" }, merged),
    ];
  });
}

function sameValueTwice(
  twice: {
    readonly code: "CTX106" | "CTX107";
    readonly what: string;
    readonly first: KeyPath;
    readonly second: KeyPath;
    readonly key: string;
  },
  merged: MergedFleetDocument,
): Finding {
  const { file, line, column } = merged.placeOfValue([...twice.first, twice.key]);
  return {
    code: twice.code,
    at: merged.placeOfValue([...twice.second, twice.key]),
    message: `${twice.what} is already declared in ${file}:${line}`,
    related: [{ file, line, column, message: "declared here first" }],
  };
}

const namesOf = (blocks: readonly Declared<unknown>[]): string[] =>
  blocks.flatMap(({ name }) => (name === undefined ? [] : [name]));

function aliasFindings(
  entry: DeclaredFleet["aliases"][number],
  { declared, merged }: CheckContext,
): Finding[] {
  const ids = namesOf(declared.models);
  const findings: Finding[] = [];
  if (ids.includes(entry.alias)) {
    const message = `the alias \`${entry.alias}\` is also the id of a model`;
    findings.push({ code: "CTX111", at: merged.placeOfKey(entry.path), message });
  }
  if (ids.includes(entry.target)) return findings;
  const at = merged.placeOfValue(entry.path);
  if (declared.aliases.some(({ alias }) => alias === entry.target)) {
    findings.push({
      code: "CTX110",
      at,
      message: `\`${entry.alias}\` points to \`${entry.target}\`, which is an alias`,
    });
    return findings;
  }
  const others = ids.filter((id) => id !== entry.alias);
  const meant = nearest(entry.target, others);
  const message = `\`${entry.alias}\` points to \`${entry.target}\`, which no [[models]] block declares`;
  findings.push({
    code: "CTX109",
    at,
    message,
    ...(meant === undefined ? {} : { help: `did you mean \`${meant}\`?` }),
  });
  return findings;
}

interface CheckedModel {
  readonly block: ModelBlock;
  readonly path: KeyPath;
}

function pinFindings({ block, path }: CheckedModel, { declared, merged }: CheckContext): Finding[] {
  const names = namesOf(declared.neurons);
  return block.pinned_on.flatMap((pin, index): Finding[] => {
    const at = merged.placeOfValue([...path, "pinned_on", index]);
    if (block.pinned_on.indexOf(pin) !== index) {
      return [{ code: "CTX117", at, message: `\`${pin}\` is already in pinned_on` }];
    }
    if (names.includes(pin)) return [];
    const meant = nearest(pin, names);
    const known = names.length === 0 ? "no neuron is declared" : `declared neurons: ${names.join(", ")}`;
    const help = meant === undefined ? known : `did you mean \`${meant}\`?`;
    return [
      {
        code: "CTX108",
        at,
        message: `\`${block.id}\` is pinned on \`${pin}\`, which no [[neurons]] block declares`,
        help,
      },
    ];
  });
}

/** Pins to unknown neurons have their own finding; here they count, so that one slip is one finding. */
function replicaFindings({ block, path }: CheckedModel, { declared, merged }: CheckContext): Finding[] {
  const allowed = block.pinned_on.length > 0 ? new Set(block.pinned_on).size : declared.neurons.length;
  if (block.replicas <= allowed || (block.pinned_on.length === 0 && allowed === 0)) return [];
  const among = block.pinned_on.length > 0 ? `pinned_on allows ${allowed}` : `the fleet has ${allowed}`;
  const message = `\`${block.id}\` wants ${block.replicas} replicas on different neurons, but ${among}`;
  return [{ code: "CTX112", at: merged.placeOfValue([...path, "replicas"]), message }];
}

function limitFindings({ block, path }: CheckedModel, merged: MergedFleetDocument): Finding[] {
  const { limit, context } = block;
  if (limit === undefined) return [];
  const findings: Finding[] = [];
  if (context !== undefined && limit.context > context) {
    const at = merged.placeOfValue([...path, "limit", "context"]);
    findings.push({
      code: "CTX115",
      at,
      message: `limit.context is ${limit.context}, but \`context\` is ${context}`,
    });
  }
  for (const part of ["input", "output"] as const) {
    const value = limit[part];
    if (value === undefined || value <= limit.context) continue;
    const at = merged.placeOfValue([...path, "limit", part]);
    findings.push({
      code: "CTX115",
      at,
      message: `limit.${part} is ${value}, but limit.context is ${limit.context}`,
    });
  }
  return findings;
}

function sourceFindings({ block, path }: CheckedModel, merged: MergedFleetDocument): Finding[] {
  const { source } = block;
  if (source === undefined) return [];
  const at = merged.placeOfValue([...path, "source"]);
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):/.exec(source)?.[1];
  if (scheme === undefined) return storeNameFindings(source, at);
  if (scheme !== "file") {
    return [{ code: "CTX116", at, message: `\`${scheme}:\` is no source that this version loads from` }];
  }
  if (source.startsWith("file:/")) return [];
  const message = `\`${source}\` is relative: each neuron would look somewhere else`;
  return [{ code: "CTX116", at, message }];
}

function storeNameFindings(source: string, at: Finding["at"]): Finding[] {
  if (source.startsWith("/")) {
    return [{ code: "CTX116", at, message: `\`${source}\` has no scheme`, help: `write \`file:${source}\`` }];
  }
  if (source.split("/").includes("..")) {
    return [{ code: "CTX116", at, message: `\`${source}\` leaves the neurons' model store` }];
  }
  return [];
}

function shapeFindings({ block, path }: CheckedModel, merged: MergedFleetDocument): Finding[] {
  const findings: Finding[] = [];
  if (block.replicas > 0 && block.idle_unload_secs !== undefined) {
    const message = `\`idle_unload_secs\` does nothing for \`${block.id}\`: replicas > 0 keeps it loaded`;
    findings.push({ code: "CTX117", at: merged.placeOfKey([...path, "idle_unload_secs"]), message });
  }
  if (block.vram_mb !== undefined && block.vram_mb < block.min_devices) {
    const message = `\`${block.id}\` has vram_mb = ${block.vram_mb} for ${block.min_devices} devices`;
    findings.push({ code: "CTX119", at: merged.placeOfValue([...path, "vram_mb"]), message });
  }
  return findings;
}
