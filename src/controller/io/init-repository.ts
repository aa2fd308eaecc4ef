import { mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { simpleGit } from "simple-git";
import { CortexError } from "../../core/errors.ts";
import { fleetJsonSchemaText, SCHEMA_PATH } from "../../fleet/fleet-json-schema.ts";
import { initTemplatesDirectory } from "../../platform/package-paths.ts";
import {
  fillTemplate,
  fleetNameFrom,
  hostOfRemote,
  initFiles,
  type CiHost,
  type InitFile,
} from "../init-files.ts";
import { findWorkTree, readingGit, type GitEnvironment } from "./fleet-git.ts";
import { hasFleetFiles } from "./fleet-source.ts";
import { loadFleet } from "./load-fleet.ts";

export interface InitOptions {
  readonly directory: string;
  /** Absent: from the directory's name. */
  readonly fleetName?: string | undefined;
  /** Absent: from the remote `origin`, else GitHub. */
  readonly hosts?: readonly CiHost[] | undefined;
  /** Run `git init` where there is no repository yet. */
  readonly git: boolean;
}

export interface InitResult {
  readonly directory: string;
  readonly fleet: string;
  readonly hosts: readonly CiHost[];
  /** How the hosts were chosen. */
  readonly hosts_from: "asked" | "origin" | "default";
  /** Whether `git init` was run. */
  readonly repository_made: boolean;
  readonly made: readonly { readonly path: string; readonly purpose: string }[];
  /** What was there and stays as it is. */
  readonly kept: readonly { readonly path: string; readonly reason: string }[];
}

/**
 * Makes a fleet repository, or adds what one lacks. Never writes over a file, and adds no TOML to a directory that
 * already has some: two fleets in one directory would be one broken fleet.
 */
export async function initRepository(options: InitOptions, environment: GitEnvironment): Promise<InitResult> {
  const directory = resolve(options.directory);
  await makeDirectory(directory);
  const hadFleet = await hasFleetFiles(directory);
  const repositoryMade = options.git && (await makeRepository(directory, environment));
  const { hosts, hostsFrom } = await chooseHosts(options, environment);
  const fleetName =
    options.fleetName ??
    (hadFleet ? await presentName(directory, environment) : undefined) ??
    fleetNameFrom(basename(directory));
  const made: InitResult["made"][number][] = [];
  const kept: InitResult["kept"][number][] = [];
  const ciSection = await readTemplate("README-ci.md");
  for (const file of initFiles(hosts, SCHEMA_PATH)) {
    const { path, purpose } = file;
    if (hadFleet && path.endsWith(".toml")) {
      kept.push({ path, reason: "the directory has fleet files of its own" });
      continue;
    }
    const text =
      file.template === undefined
        ? fleetJsonSchemaText()
        : fillTemplate({ path, text: await readTemplate(file.template) }, { fleetName, hosts, ciSection });
    if (await writeNew(join(directory, path), text)) made.push({ path, purpose });
    else kept.push({ path, reason: keptReason(file) });
  }
  return {
    directory: options.directory,
    fleet: fleetName,
    hosts,
    hosts_from: hostsFrom,
    repository_made: repositoryMade,
    made,
    kept,
  };
}

/** The name of the fleet that is there; undefined when it cannot be read. */
async function presentName(directory: string, environment: GitEnvironment): Promise<string | undefined> {
  try {
    return (await loadFleet({ path: directory, inherited: environment.inherited })).fleet.fleet.name;
  } catch (thrown) {
    if (thrown instanceof CortexError) return undefined;
    throw thrown;
  }
}

const keptReason = (file: InitFile): string =>
  file.template === undefined ? "exists; `cortex schema` prints the present one" : "exists";

const readTemplate = (name: string): Promise<string> =>
  readFile(join(initTemplatesDirectory(), name), "utf8");

async function makeDirectory(directory: string): Promise<void> {
  try {
    await mkdir(directory, { recursive: true });
    if ((await stat(directory)).isDirectory()) return;
  } catch (thrown) {
    throw cannotWrite(directory, thrown);
  }
}

/** False when a file is there already. */
async function writeNew(path: string, text: string): Promise<boolean> {
  try {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text, { flag: "wx" });
    return true;
  } catch (thrown) {
    if (thrown instanceof Error && "code" in thrown && thrown.code === "EEXIST") return false;
    throw cannotWrite(path, thrown);
  }
}

const cannotWrite = (path: string, thrown: unknown): CortexError =>
  new CortexError(
    "usage_error",
    `cannot write ${path}: ${thrown instanceof Error ? thrown.message : String(thrown)}`,
    { next: "name a directory that may be written: cortex init DIR", cause: thrown },
  );

async function makeRepository(directory: string, environment: GitEnvironment): Promise<boolean> {
  if ((await findWorkTree(directory, environment)) !== undefined) return false;
  try {
    await simpleGit({ baseDir: directory }).init(["--quiet", "--initial-branch=main"]);
    return true;
  } catch {
    // Without git the files are a fleet all the same; the next steps say what is missing.
    return false;
  }
}

async function chooseHosts(
  options: InitOptions,
  environment: GitEnvironment,
): Promise<{ readonly hosts: readonly CiHost[]; readonly hostsFrom: InitResult["hosts_from"] }> {
  if (options.hosts !== undefined) return { hosts: options.hosts, hostsFrom: "asked" };
  const host = hostOfRemote(await originOf(resolve(options.directory), environment));
  return host === undefined
    ? { hosts: ["github"], hostsFrom: "default" }
    : { hosts: [host], hostsFrom: "origin" };
}

async function originOf(directory: string, environment: GitEnvironment): Promise<string> {
  try {
    return (await readingGit(directory, environment).raw(["remote", "get-url", "origin"])).trim();
  } catch {
    return "";
  }
}
