import { nearest } from "../../core/nearest.ts";
import { namesOf, type CheckContext } from "./declared-blocks.ts";
import type { Finding } from "../text/diagnostics.ts";
import type { ModelBlock } from "../schema/fleet-schema.ts";
import type { MergedFleetDocument } from "./merge-fleet-files.ts";
import { parseSource } from "../schema/model-source.ts";
import type { KeyPath } from "../../core/key-path.ts";

/** What no schema can state about a model block: references to neurons, and settings that contradict each other. */
export function modelFindings(context: CheckContext): Finding[] {
  const { declared, merged } = context;
  const models = declared.models.flatMap(({ block, path }) => (block === undefined ? [] : [{ block, path }]));
  return models.flatMap((model) => [
    ...pinFindings(model, context),
    ...replicaFindings(model, context),
    ...drainFindings(model, context),
    ...limitFindings(model, merged),
    ...sourceFindings(model, merged),
    ...pinnedSourceFindings(model, merged),
    ...harnessFindings(model, merged),
    ...shapeFindings(model, merged),
    ...unitFindings(model, merged),
  ]);
}

interface CheckedModel {
  readonly block: ModelBlock;
  readonly path: KeyPath;
}

function pinFindings({ block, path }: CheckedModel, { declared, merged }: CheckContext): Finding[] {
  return block.pinned_on.flatMap((pin, index): Finding[] => {
    const isRepeated = block.pinned_on.indexOf(pin) !== index;
    if (!isRepeated && declared.neurons.some(({ name }) => name === pin)) return [];
    const at = merged.placeOfValue([...path, "pinned_on", index]);
    if (isRepeated) return [{ code: "CTX117", at, message: `\`${pin}\` is already in pinned_on` }];
    const names = namesOf(declared.neurons);
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
  const beside = companionSources(block).flatMap(({ source, key }): Finding[] => {
    const parsed = parseSource(source);
    return parsed.ok ? [] : [{ code: "CTX116", at: merged.placeOfValue([...path, ...key]), ...parsed.error }];
  });
  if (block.source === undefined) return beside;
  const parsed = parseSource(block.source);
  if (parsed.ok) return [...repositoryFindings({ block, path }, merged), ...beside];
  return [{ code: "CTX116", at: merged.placeOfValue([...path, "source"]), ...parsed.error }, ...beside];
}

/** Files that a model is loaded with, and where they are named. */
const companionSources = ({ lora = [], draft }: ModelBlock) => [
  ...lora.map(({ source }, index) => ({ source, key: ["lora", index, "source"] })),
  ...(draft === undefined ? [] : [{ source: draft, key: ["draft"] }]),
];

/** `org/name` is a file of the store, and what people copy from the hub. */
function repositoryFindings({ block, path }: CheckedModel, merged: MergedFleetDocument): Finding[] {
  const { source = "" } = block;
  if (!/^[A-Za-z0-9][\w.-]*\/[A-Za-z0-9][\w.-]*$/.test(source) || /\.gguf$/i.test(source)) return [];
  return [
    {
      code: "CTX133",
      at: merged.placeOfValue([...path, "source"]),
      message: `\`${source}\` stands for a file of that name in the neurons' model store`,
      help: `for the repository on the hub write hf:${source}:Q4_K_M; keep it if the store has ${source}.gguf`,
    },
  ];
}

/** A pin that pins nothing is worse than none: people rely on it. */
function pinnedSourceFindings({ block, path }: CheckedModel, merged: MergedFleetDocument): Finding[] {
  const parsed = block.source === undefined ? undefined : parseSource(block.source);
  if (parsed !== undefined && !parsed.ok) return [];
  const source = parsed?.value;
  const inside = {
    revision: source?.kind === "hf" ? source.revision : undefined,
    quant: source?.kind === "hf" ? source.file : undefined,
  };
  return (["revision", "quant"] as const).flatMap((key): Finding[] => {
    const value = block[key];
    if (value === undefined) return [];
    const at = merged.placeOfValue([...path, key]);
    if (source?.kind !== "hf") {
      const said = block.source === undefined ? "no source" : `source = "${block.source}"`;
      return [{ code: "CTX125", at, message: `\`${key}\` needs an hf: source; \`${block.id}\` has ${said}` }];
    }
    if (inside[key] === undefined || inside[key] === value) return [];
    const message = `\`${key}\` is "${value}", but the source already names "${inside[key]}"`;
    return [{ code: "CTX125", at, message, help: "say it in one place" }];
  });
}

/** A setting that the engine would never see is an error: the person believes that it acts. */
function harnessFindings({ block, path }: CheckedModel, merged: MergedFleetDocument): Finding[] {
  const isExternal = block.harness === "openai";
  const foreign = isExternal ? FILE_SETTINGS : ENDPOINT_SETTINGS;
  const findings = foreign.flatMap((key): Finding[] => {
    if (block[key] === undefined) return [];
    const message = `\`${key}\` does nothing with harness = "${block.harness}"`;
    return [{ code: "CTX124", at: merged.placeOfKey([...path, key]), message }];
  });
  return isExternal ? [...findings, ...externalFindings({ block, path }, merged)] : findings;
}

/** One engine, that runs or that is started, and of which is known what it takes. */
function externalFindings({ block, path }: CheckedModel, merged: MergedFleetDocument): Finding[] {
  const { endpoint, command, id } = block;
  const finding = (key: string, message: string, help: string): Finding[] => [
    { code: "CTX124", at: merged.placeOfValue([...path, key]), message, help },
  ];
  if (endpoint === undefined && command === undefined) {
    return finding(
      "harness",
      `\`${id}\` has harness = "openai", and neither \`endpoint\` nor \`command\``,
      'add endpoint = "http://127.0.0.1:8000", as the engine\'s neuron reaches it, or the command that starts one',
    );
  }
  if (command === undefined) return [];
  if (endpoint !== undefined) {
    return finding(
      "command",
      `\`${id}\` has both \`endpoint\` and \`command\``,
      "the neuron asks a started engine at a port that it chooses itself: leave one of the two out",
    );
  }
  return [
    ...(command.some((part) => part.includes("${PORT}"))
      ? []
      : finding(
          "command",
          `nothing in the command of \`${id}\` is \${PORT}`,
          'tell the engine the port that the neuron chooses, as in "--port", "${PORT}"',
        )),
    ...(block.vram_mb === undefined
      ? finding(
          "command",
          `\`${id}\` does not say how much memory its engine takes`,
          "declare vram_mb: nobody can know it before the first start",
        )
      : []),
  ];
}

const FILE_SETTINGS = [
  "source",
  "sha256",
  "revision",
  "quant",
  "batch_size",
  "lora",
  "draft",
  "prompt_lookup",
] as const;
const ENDPOINT_SETTINGS = [
  "endpoint",
  "served_as",
  "token_file",
  "command",
  "health_path",
  "start_timeout_secs",
] as const;

/** Resident copies need a neuron that takes them; a drain that leaves none is seldom meant. */
function drainFindings({ block, path }: CheckedModel, { declared, merged }: CheckContext): Finding[] {
  if (block.replicas === 0 || declared.neurons.length === 0) return [];
  if (block.pinned_on.length === 0 && declared.neurons.some((neuron) => neuron.block?.drain !== true))
    return [];
  const allowed = declared.neurons.filter(
    ({ name }) => block.pinned_on.length === 0 || (name !== undefined && block.pinned_on.includes(name)),
  );
  if (allowed.length === 0 || allowed.some((neuron) => neuron.block?.drain !== true)) return [];
  const names = namesOf(allowed).join(", ");
  const message = `\`${block.id}\` wants ${block.replicas} resident, but drain = true on every neuron that may hold it: ${names}`;
  return [{ code: "CTX127", at: merged.placeOfValue([...path, "replicas"]), message }];
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

/** Smaller than any device that holds a language model, and than any context of one. */
const LEAST_DEVICE_MIB = 512;
const LEAST_CONTEXT_TOKENS = 256;

/** 24 for a card of 24 GB, 32 for a context of 32k: allowed, and never what was meant. */
function unitFindings({ block, path }: CheckedModel, merged: MergedFleetDocument): Finding[] {
  const findings: Finding[] = [];
  const { min_device_vram_mb: deviceMib, context } = block;
  if (deviceMib !== undefined && deviceMib < LEAST_DEVICE_MIB) {
    findings.push({
      code: "CTX129",
      at: merged.placeOfValue([...path, "min_device_vram_mb"]),
      message: `\`min_device_vram_mb = ${deviceMib}\` is ${deviceMib} MB`,
      help: `for ${deviceMib} GB write min_device_vram_mb = ${deviceMib * 1000}`,
    });
  }
  if (context !== undefined && context < LEAST_CONTEXT_TOKENS) {
    findings.push({
      code: "CTX129",
      at: merged.placeOfValue([...path, "context"]),
      message: `\`context = ${context}\` is ${context} tokens`,
      help: `for ${context}k write context = ${context * 1024}`,
    });
  }
  return findings;
}
