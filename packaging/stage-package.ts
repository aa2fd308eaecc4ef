import { execFileSync } from "node:child_process";
import { chmodSync, cpSync, existsSync, globSync, mkdirSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { nodeFileTrace } from "@vercel/nft";

export const repository = fileURLToPath(new URL("..", import.meta.url));

/** What an installation is for: a gateway's has no engine; a neuron's has, for these back ends. */
export interface StagedProgram {
  /** Folder below which the program lies: `bin/node`, `app/`. */
  readonly folder: string;
  /** Binary packages of the engine; none: no engine at all. */
  readonly engines: readonly string[];
}

/** Read by path at run time, which a look at imports does not show. */
const ASSETS = [
  "package.json",
  "LICENSE",
  "fleet.example.toml",
  "oclif.manifest.json",
  "assets/init",
  "assets/page",
  "dist/page",
  "dist/third-parties.json",
  "dist/THIRD-PARTIES.txt",
  "schema",
];
const DEMO_ASSETS = ["assets/demo"];
const ENGINE_FILES = ["node-llama-cpp/package.json", "node-llama-cpp/LICENSE", "node-llama-cpp/llama/*.json"];

/**
 * Copies into `folder` the files that running cortex opens, and nothing else: what `dist` imports, followed file by
 * file (@vercel/nft), and what it reads by path. A package as npm installs it is four fifths types, maps and second
 * builds for browsers.
 */
export async function stageProgram({ folder, engines }: StagedProgram): Promise<void> {
  requireBuilt();
  const app = join(folder, "app");
  const hasEngine = engines.length > 0;
  const entries = [
    join(repository, "bin/run.js"),
    ...globSync(join(repository, "dist/**/*.js")),
    // Its JavaScript is built in, but for the program by which it tries its binaries.
    ...(hasEngine ? [join(repository, "node_modules/node-llama-cpp/dist/index.js")] : []),
  ];
  const { fileList } = await nodeFileTrace(entries, {
    base: repository,
    conditions: ["node", "import"],
    // The engine imports the binary package of every back end, and only those that are named are to come along.
    ignore: ["node_modules/@node-llama-cpp/**", ...(hasEngine ? [] : ["node_modules/node-llama-cpp/**"])],
  });
  requireOwnModules(fileList);
  for (const path of fileList) copy(path, app);
  for (const path of [...ASSETS, ...(hasEngine ? DEMO_ASSETS : [])]) copy(path, app);
  copy("dist/build-info.json", app);
  if (hasEngine) for (const path of engineFiles(engines)) copy(path, app);
  stageNode(folder);
}

function engineFiles(engines: readonly string[]): string[] {
  const own = ENGINE_FILES.flatMap((pattern) => globSync(join(repository, "node_modules", pattern)));
  const binaries = engines.map((name) => join(repository, "node_modules/@node-llama-cpp", name));
  const absent = binaries.filter((path) => !existsSync(path));
  if (absent.length > 0) throw new Error(`not installed, run npm ci: ${absent.join(", ")}`);
  return [...own, ...binaries].map((path) => relative(repository, path));
}

/** Without its symbols, which are a seventh of it. */
function stageNode(folder: string): void {
  const node = join(folder, "bin/node");
  mkdirSync(dirname(node), { recursive: true });
  cpSync(process.execPath, node, { dereference: true });
  chmodSync(node, 0o755);
  execFileSync("strip", ["--strip-unneeded", node]);
}

/** A command in `bin` that runs the program at `program` with its own Node. */
export function stageCommand(file: string, program: string): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `#!/bin/sh\nexec ${program}/bin/node ${program}/app/bin/run.js "$@"\n`, {
    mode: 0o755,
  });
  chmodSync(file, 0o755);
}

export function copy(path: string, into: string): void {
  cpSync(join(repository, path), join(into, path), { recursive: true, dereference: true });
}

/** What lies behind a link is listed as the link alone, and copying that would bring everything behind it. */
function requireOwnModules(paths: ReadonlySet<string>): void {
  const folders = [...paths].filter((path) => statSync(join(repository, path)).isDirectory());
  if (folders.length > 0)
    throw new Error(`links to folders, run npm ci in this clone: ${folders.join(", ")}`);
}

function requireBuilt(): void {
  if (
    !existsSync(join(repository, "dist/build-info.json")) ||
    !existsSync(join(repository, "oclif.manifest.json"))
  ) {
    throw new Error("there is no build: npm run build");
  }
}
