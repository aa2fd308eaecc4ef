import { mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { CortexError } from "../../../core/errors.ts";
import { fleetJsonSchemaText, SCHEMA_PATH } from "../../../fleet/schema/fleet-json-schema.ts";
import { initTemplatesDirectory } from "../../../platform/package-paths.ts";
import { appliedBranch, DEFAULT_BRANCH } from "../applied-branch.ts";
import {
  fillTemplate,
  fleetNameFrom,
  hostOfRemote,
  initFiles,
  type CiHost,
  type InitFile,
  type InitText,
} from "../init-files.ts";
import { findWorkTree, originUrl, readBranches } from "../../../repository/io/git.ts";
import type { GitEnvironment } from "../../../repository/io/git-process.ts";
import { loadFleet } from "../../../repository/io/load-fleet.ts";
import { makeRepository } from "../../../repository/io/make-repository.ts";
import { hasFleetFiles } from "../../../repository/io/work-tree.ts";

export interface InitOptions {
  readonly directory: string;
  /** Absent: from the directory's name. */
  readonly fleetName?: string | undefined;
  /** Absent: from the remote `origin`, else GitHub. */
  readonly hosts?: readonly CiHost[] | undefined;
  /** What npm installs in CI jobs. */
  readonly packageSpec?: string | undefined;
  /** Run `git init` where there is no repository yet. */
  readonly git: boolean;
}

export interface InitResult {
  readonly directory: string;
  readonly fleet: string;
  readonly hosts: readonly CiHost[];
  /** How the hosts were chosen. */
  readonly hosts_from: "asked" | "origin" | "default";
  /** What npm installs in CI jobs; null: the workflow still has to be told. */
  readonly package: string | null;
  /** Whether `git init` was run. */
  readonly repository_made: boolean;
  /** Whether the directory is in a repository now, this one or one that was there. */
  readonly in_repository: boolean;
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
  const repositoryMade = options.git && (await ensureRepository(directory, environment));
  const { hosts, hostsFrom } = await chooseHosts(options, environment);
  const fleetName = options.fleetName ?? (await nameFor(directory, { hadFleet, environment }));
  const place = await placeInRepository(directory, environment);
  const text: InitText = {
    fleetName,
    hosts,
    ciSection: await readTemplate("README-ci.md"),
    configPath: place.prefix === "" ? "." : place.prefix.replace(/\/$/, ""),
    branch: place.branch,
    packageSpec: options.packageSpec ?? "",
  };
  const made: InitResult["made"][number][] = [];
  const kept: InitResult["kept"][number][] = [];
  for (const file of initFiles(hosts, SCHEMA_PATH)) {
    if (hadFleet && file.path.endsWith(".toml")) {
      kept.push({
        path: file.path,
        reason: "the directory has TOML files of its own; a new fleet wants a directory to itself",
      });
      continue;
    }
    const path = file.atTop === true ? join(upwards(place.prefix), file.path) : file.path;
    if (await writeNew(join(directory, path), await textOf(file, text)))
      made.push({ path, purpose: file.purpose });
    else kept.push({ path, reason: await keptReason(file, { path: join(directory, path), text }) });
  }
  return {
    directory: options.directory,
    fleet: fleetName,
    hosts,
    hosts_from: hostsFrom,
    package: options.packageSpec ?? null,
    repository_made: repositoryMade,
    in_repository: place.isRepository,
    made,
    kept,
  };
}

const textOf = async (file: InitFile, values: InitText): Promise<string> =>
  file.template === undefined
    ? fleetJsonSchemaText()
    : fillTemplate({ path: file.path, text: await readTemplate(file.template) }, values);

/** From a directory inside of a repository to the repository's top. */
const upwards = (prefix: string): string => "../".repeat(prefix.split("/").length - 1);

/** Where the directory lies in its repository, and the branch that is applied. */
async function placeInRepository(
  directory: string,
  environment: GitEnvironment,
): Promise<{ readonly isRepository: boolean; readonly prefix: string; readonly branch: string }> {
  const tree = await findWorkTree(directory, environment);
  if (tree === undefined) return { isRepository: false, prefix: "", branch: DEFAULT_BRANCH };
  const branch = appliedBranch(await readBranches(directory, environment));
  return { isRepository: true, prefix: tree.prefix, branch };
}

const nameFor = async (
  directory: string,
  { hadFleet, environment }: { readonly hadFleet: boolean; readonly environment: GitEnvironment },
): Promise<string> =>
  (hadFleet ? await presentName(directory, environment) : undefined) ?? fleetNameFrom(basename(directory));

/** The name of the fleet that is there; undefined when it cannot be read. */
async function presentName(directory: string, environment: GitEnvironment): Promise<string | undefined> {
  try {
    return (await loadFleet({ path: directory, inherited: environment.inherited })).fleet.fleet.name;
  } catch (thrown) {
    if (thrown instanceof CortexError) return undefined;
    throw thrown;
  }
}

async function keptReason(
  file: InitFile,
  kept: { readonly path: string; readonly text: InitText },
): Promise<string> {
  if (file.template === undefined) return "exists; `cortex schema` prints the present one";
  if (file.path === ".gitlab-ci.yml") {
    return "exists; add the jobs that `cortex init --ci gitlab` makes in an empty directory";
  }
  const { configPath } = kept.text;
  if (file.atTop !== true || (await readFile(kept.path, "utf8")).includes(`"${configPath}"`)) return "exists";
  return (
    `exists and does not name ${configPath}, so nothing plans or applies this fleet: give it a workflow of its own ` +
    `with CORTEX_CONFIG: "${configPath}" and another concurrency group, or a repository of its own`
  );
}

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

async function ensureRepository(directory: string, environment: GitEnvironment): Promise<boolean> {
  if ((await findWorkTree(directory, environment)) !== undefined) return false;
  try {
    await makeRepository(directory);
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
  const host = hostOfRemote(await originUrl(resolve(options.directory), environment));
  return host === undefined
    ? { hosts: ["github"], hostsFrom: "default" }
    : { hosts: [host], hostsFrom: "origin" };
}
