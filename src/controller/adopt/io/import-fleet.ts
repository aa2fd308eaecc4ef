import type { NeuronAccess } from "../../../protocol/io/neuron-client.ts";
import { mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { basename, dirname, extname, join, resolve } from "node:path";
import type { Clock } from "../../../core/clock.ts";
import { CortexError } from "../../../core/errors.ts";
import { maskSecrets } from "../../../fleet/text/mask-secrets.ts";
import type { Diagnostic } from "../../../fleet/text/diagnostics.ts";
import { fleetJsonSchemaText, SCHEMA_PATH } from "../../../fleet/schema/fleet-json-schema.ts";
import { parseFleet } from "../../../fleet/load-fleet.ts";
import { parseFleetFile, type ParsedFile } from "../../../fleet/text/parse-fleet-file.ts";
import { importHelexa } from "../helexa/helexa.ts";
import { importLiteLlm } from "../peers/litellm.ts";
import { importLmStudio } from "../peers/lm-studio.ts";
import { importLocalAi } from "../peers/localai.ts";
import type { LocatedDocument } from "../imported/located-document.ts";
import { importOllama } from "../peers/ollama.ts";
import type { DocumentKind } from "../peers/recognise-document.ts";
import { readLmStudio, studioFilesAt } from "./read-lm-studio.ts";
import { modelfilesAt, readOllama } from "./read-ollama.ts";
import { readYamlOrigin, recogniseYaml } from "./read-yaml-origin.ts";
import type { HelexaFiles } from "../helexa/helexa-models.ts";
import { importLive } from "../live.ts";
import { importLlamaSwap } from "../llama-swap/llama-swap.ts";
import type { ImportedFleet, ImportNote } from "../imported/import-report.ts";
import { writeFleetToml, type WrittenFile } from "../imported/write-fleet-toml.ts";
import { observeFleet } from "../../observe/io/observe-fleet.ts";

export const IMPORT_ORIGINS = [
  "live",
  "helexa",
  "llama-swap",
  "litellm",
  "ollama",
  "localai",
  "lm-studio",
] as const;
export type ImportOrigin = (typeof IMPORT_ORIGINS)[number];

export interface NamedEndpoint {
  readonly name: string;
  readonly endpoint: string;
}

export interface ImportOptions {
  /** Absent: from what is given. */
  readonly from: ImportOrigin | undefined;
  /** A directory or a file of the other system, or the address of a running Ollama. */
  readonly path: string | undefined;
  readonly neurons: readonly NamedEndpoint[];
  readonly fleetName: string;
  readonly neuronAccess: NeuronAccess | undefined;
}

export interface ImportResult {
  readonly from: ImportOrigin;
  readonly files: readonly WrittenFile[];
  readonly models: number;
  readonly neurons: number;
  readonly not_carried: readonly ImportNote[];
  /** What `cortex validate` says of the result. */
  readonly diagnostics: readonly Diagnostic[];
}

/**
 * Reads another description of a fleet (the machines themselves, helexa's files, llama-swap's) into fleet files, with
 * a note for everything that fleet files cannot say. Throws `usage_error` for what cannot be read and
 * `upstream_connection_error` for a neuron that does not answer: half a fleet is none.
 */
export async function importFleet(options: ImportOptions, clock: Clock): Promise<ImportResult> {
  const from = options.from ?? (await guessOrigin(options));
  const imported = await READERS[from](options, clock);
  const files = writeFleetToml(imported, { fleetName: options.fleetName, origin: originText(from, options) });
  const checked = parseFleet(files);
  return {
    from,
    files,
    models: imported.models.length,
    neurons: imported.neurons.length,
    not_carried: imported.notes.map((note) => ({
      ...note,
      what: maskSecrets(note.what),
      reason: maskSecrets(note.reason),
    })),
    diagnostics: checked.ok ? checked.value.warnings : checked.error,
  };
}

const READERS: Readonly<
  Record<ImportOrigin, (options: ImportOptions, clock: Clock) => Promise<ImportedFleet>>
> = {
  live: readLive,
  helexa: async (options) => importHelexa(await readHelexa(neededPath(options))),
  "llama-swap": async (options) =>
    importLlamaSwap(await onlyDocument(options, "llama-swap"), machineOfImport(options)),
  litellm: async (options) => importLiteLlm(await onlyDocument(options, "litellm"), options.neurons),
  localai: async (options) =>
    importLocalAi(await readYamlOrigin(await readablePath(options), "localai"), machineOfImport(options)),
  ollama: async (options) => {
    const place = neededPath(options);
    if (!isAddress(place)) await kindOf(place);
    return importOllama(await readOllama(place), machineOfImport(options));
  },
  "lm-studio": async (options) =>
    importLmStudio(await readLmStudio(await readablePath(options)), machineOfImport(options)),
};

const isAddress = (path: string): boolean => /^https?:\/\//.test(path);

/** Other systems describe one machine; which one it is here, the person says. */
const machineOfImport = ({ neurons }: ImportOptions): NamedEndpoint =>
  neurons[0] ?? { name: "local", endpoint: "http://127.0.0.1:13131" };

async function readablePath(options: ImportOptions): Promise<string> {
  const path = neededPath(options);
  await kindOf(path);
  return path;
}

/** One file; in a directory, config.yaml. */
async function onlyDocument(options: ImportOptions, kind: DocumentKind): Promise<LocatedDocument> {
  const given = await readablePath(options);
  const path = (await kindOf(given)) === "directory" ? join(given, "config.yaml") : given;
  await kindOf(path);
  const [document] = await readYamlOrigin(path, kind);
  if (document === undefined) throw new Error("a kind of document that was found has one");
  return document;
}

function originText(from: ImportOrigin, options: ImportOptions): string {
  if (from === "live") return "imported from the live fleet";
  return `imported from ${from}: ${basename(resolve(neededPath(options)))}`;
}

function neededPath({ path }: ImportOptions): string {
  if (path !== undefined) return path;
  throw new CortexError("usage_error", "say what to import", {
    next: "cortex import DIRECTORY, cortex import config.yaml, cortex import http://127.0.0.1:11434 (a running Ollama), or cortex import --from live --neuron beast=http://beast:13131",
  });
}

async function guessOrigin(options: ImportOptions): Promise<ImportOrigin> {
  if (options.path === undefined && options.neurons.length > 0) return "live";
  const path = neededPath(options);
  if (isAddress(path)) return "ollama";
  const kind = await kindOf(path);
  if (kind === "file") return guessByFile(path);
  if ((await tomlFiles(path)).length > 0) return "helexa";
  const yaml = await recogniseYaml(path);
  if (yaml !== undefined) return yaml;
  if (await exists(join(path, "config.yaml"))) return "llama-swap";
  if ((await modelfilesAt(path)).length > 0) return "ollama";
  return (await studioFilesAt(path)).length > 0 ? "lm-studio" : "helexa";
}

async function guessByFile(path: string): Promise<ImportOrigin> {
  if (/\.ya?ml$/.test(path)) return (await recogniseYaml(path)) ?? "llama-swap";
  return (await modelfilesAt(path)).length > 0 ? "ollama" : "helexa";
}

async function kindOf(path: string): Promise<"directory" | "file"> {
  try {
    return (await stat(path)).isDirectory() ? "directory" : "file";
  } catch (thrown) {
    throw new CortexError("fleet_not_found", `${path} cannot be read`, {
      next: "name a file or a directory that is there",
      cause: thrown,
    });
  }
}

async function readLive(options: ImportOptions, clock: Clock): Promise<ImportedFleet> {
  if (options.neurons.length === 0) {
    throw new CortexError("usage_error", "the live fleet is read from its neurons, and none is named", {
      next: "cortex import --from live --neuron beast=http://beast.internal:13131 --neuron benjy=...",
    });
  }
  const neurons = options.neurons.map(({ name, endpoint }) => ({
    name,
    endpoint,
    labels: {},
    drain: false,
    weight: 1,
  }));
  const observed = await observeFleet({ neurons }, { clock, neuronAccess: options.neuronAccess });
  const silent = observed.neurons.flatMap((neuron) =>
    neuron.reachable ? [] : [`${neuron.name} (${neuron.endpoint}): ${neuron.problem}`],
  );
  if (silent.length > 0) {
    throw new CortexError(
      "upstream_connection_error",
      `not every neuron answers, and half a fleet is not imported: ${silent.join("; ")}`,
      {
        next: "start the neurons that do not answer, or leave them out",
      },
    );
  }
  return importLive(observed.neurons.flatMap((neuron) => (neuron.reachable ? [neuron] : [])));
}

async function readHelexa(path: string): Promise<HelexaFiles> {
  const paths = (await kindOf(path)) === "file" ? [path] : await tomlFiles(path);
  const files = await Promise.all(paths.map(readToml));
  const byName = (name: string) => files.find((file) => basename(file.file.path) === name);
  const cortex = byName("cortex.toml") ?? files.find(isGatewayFile);
  const models = byName("models.toml") ?? files.find((file) => file !== cortex && isCatalogue(file));
  const neurons = files.flatMap((file) =>
    file === cortex || file === models || !isNeuronFile(file)
      ? []
      : [{ name: machineOf(file.file.path), file }],
  );
  if (cortex === undefined && models === undefined && neurons.length === 0) {
    throw new CortexError("fleet_not_found", `${path} has no cortex.toml, models.toml or neuron.toml`, {
      next: "name the directory that holds them; a fleet of cortex's own needs no import",
    });
  }
  return { cortex, models, neurons };
}

async function tomlFiles(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true }).catch(
    (thrown: unknown) => {
      const said = thrown instanceof Error ? thrown.message : String(thrown);
      const next = "name the directory that holds the files alone";
      throw new CortexError("fleet_not_found", `${directory} cannot be read: ${said}`, {
        next,
        cause: thrown,
      });
    },
  );
  return entries
    .filter((entry) => entry.isFile() && entry.name.endsWith(".toml"))
    .map((entry) => join(entry.parentPath, entry.name))
    .toSorted();
}

/** Under other names, such as `cortex.example.toml`, the content tells; a file with [fleet] is of cortex's own. */
const isGatewayFile = ({ document }: ParsedFile): boolean =>
  !Object.hasOwn(document, "fleet") &&
  ["gateway", "neurons", "entitlements", "models_config"].some((key) => Object.hasOwn(document, key));

const isCatalogue = ({ document }: ParsedFile): boolean =>
  !Object.hasOwn(document, "fleet") && Array.isArray(document["models"]);

const isNeuronFile = ({ document }: ParsedFile): boolean =>
  ["harnesses", "default_models", "harness"].some((key) => Object.hasOwn(document, key));

/** `beast/neuron.toml`, `neuron-beast.toml` and `beast.toml` are of beast; `neuron.toml` alone does not say. */
function machineOf(path: string): string | undefined {
  const name = basename(path, extname(path));
  if (name !== "neuron") return name.replace(/^neuron[-_.]/, "");
  const directory = basename(dirname(path));
  return directory === "." || directory === "" ? undefined : directory;
}

async function readToml(path: string): Promise<ParsedFile> {
  const parsed = parseFleetFile({ path, text: await readText(path) });
  if (parsed.ok) return parsed.value;
  throw new CortexError("fleet_invalid", `${path} is not TOML`, { details: { diagnostics: [parsed.error] } });
}

async function readText(path: string): Promise<string> {
  await kindOf(path);
  return readFile(path, "utf8");
}

/** Writes the files into a directory, all or none, and never over one that is there. */
export async function writeImport(
  directory: string,
  files: readonly WrittenFile[],
): Promise<readonly string[]> {
  const existing: string[] = [];
  for (const { path } of files) if (await exists(join(directory, path))) existing.push(path);
  if (existing.length > 0) {
    throw new CortexError(
      "usage_error",
      `${directory} already has ${existing.join(" and ")}; nothing was written`,
      {
        next: "name a new directory with --out, or leave --out away and compare by hand",
      },
    );
  }
  try {
    await mkdir(join(directory, dirname(SCHEMA_PATH)), { recursive: true });
    for (const { path, text } of files) await writeFile(join(directory, path), text, { flag: "wx" });
    if (!(await exists(join(directory, SCHEMA_PATH)))) {
      await writeFile(join(directory, SCHEMA_PATH), fleetJsonSchemaText(), { flag: "wx" });
    }
  } catch (thrown) {
    const said = thrown instanceof Error ? thrown.message : String(thrown);
    const next = "name a directory that may be written with --out";
    throw new CortexError("usage_error", `cannot write to ${directory}: ${said}`, { next, cause: thrown });
  }
  return files.map(({ path }) => join(directory, path));
}

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );
