import { globSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { rolldown, type OutputChunk, type Plugin } from "rolldown";
import { builtinsWithoutFacade } from "./program/builtins-without-facade.ts";
import { engineBuiltIn } from "./program/engine-built-in.ts";
import { oneByteSources } from "./program/one-byte-sources.ts";
import { slimmerPackages } from "./program/slimmer-packages.ts";
import { undiciInParts } from "./program/undici-in-parts.ts";
import { thirdParties, thirdPartyNotices } from "./program/third-parties.ts";

/*
 * `dist`: the program and what it imports in few files, since a process that reads a thousand small ones starts half as
 * fast (docs/decisions/0015). What is started or found by its path stays a file of its own at the place of its source.
 */

const root = fileURLToPath(new URL("..", import.meta.url));
const source = (path: string): string => readFileSync(join(root, path), "utf8");

/** A file that asks where it lies has to lie there; what starts a thread or process of its own does. */
const asksForItsPlace = globSync("src/**/*.ts", { cwd: root, exclude: ["src/page/**"] }).filter((path) =>
  /new URL\([^)]*import\.meta\.url/.test(source(path)),
);
const ENTRIES = [
  "src/cli/run-program.ts",
  "src/cli/suggest-command.ts",
  "src/worker/io/worker-main.ts",
  "src/worker/io/external-main.ts",
  "src/worker/io/scripted-main.ts",
  "src/worker/io/devices-main.ts",
  "src/controller/place/io/highs-worker.ts",
  "src/gateway/dialect/io/translation-worker.ts",
  ...globSync("src/commands/**/*.ts", { cwd: root }),
  ...asksForItsPlace,
];
/** The engine and the solver are optional, and bring programs that are not JavaScript; the last is for developers of Ink. */
const STAYS_OUTSIDE = ["highs", "react-devtools-core", "@reflink/reflink", "electron"];

/** Its usual file asks for its parts by a `require` that is handed around, which no bundler sees. */
const AS_MODULES = { "jsonc-parser": "jsonc-parser/lib/esm/main.js" };

/**
 * What is used together lies together, with all that it imports: each file costs its share of a millisecond, and left to itself
 * the bundler makes one for each set of commands that share something. Earlier groups take first. Nothing large is in a group with
 * what others need alone.
 */
const TOGETHER = [
  { name: "runtime", test: /^\0/ },
  { name: "zod", test: /node_modules\/zod\// },
  {
    name: "packages",
    test: /node_modules\/(?:debug|ms|supports-color|has-flag|@kwsites\/[\w-]+|@simple-git\/[\w-]+)\//,
  },
  { name: "core", test: /src\/core\/|src\/platform\/(?:environment|shutdown|system-clock)\.ts/ },
  {
    name: "schema",
    test: /src\/fleet\/(?:schema\/(?:model-\w+|kv-\S+|number-\w+|probe-\w+)|fleet-revision|text\/mask-\w+)\.ts/,
  },
  { name: "command", test: /src\/cli\/(?:run-program|fleet-command|flags\/fleet-flags)\.ts/ },
  { name: "fleet", test: /src\/repository\/io\/fleet-git\.ts/ },
  {
    name: "protocol",
    test: /src\/protocol\/(?:openai\/|headers\/|(?:error-\w+|worker-\w+|neuron-api|neuron-failure|model-\w+|spec-\w+)\.ts)/,
  },
].map((group, index, all) => ({ ...group, priority: all.length - index }));

const nameOf = (path: string): string => path.slice("src/".length, -".ts".length);

const bundle = await rolldown({
  cwd: root,
  input: Object.fromEntries(ENTRIES.map((path) => [nameOf(path), path])),
  external: STAYS_OUTSIDE,
  platform: "node",
  resolve: { alias: AS_MODULES },
  treeshake: { moduleSideEffects: [{ test: /node_modules\/node-llama-cpp\//, sideEffects: false }] },
  plugins: [
    builtinsWithoutFacade(),
    engineBuiltIn(),
    slimmerPackages(),
    undiciInParts(),
    oneByteSources(),
    refuseUnresolved(),
  ],
});
const { output } = await bundle.write({
  dir: join(root, "dist"),
  format: "es",
  entryFileNames: "[name].js",
  chunkFileNames: "parts/[name].js",
  comments: false,
  codeSplitting: { groups: TOGETHER },
});
await bundle.close();
const chunks = output.filter((file): file is OutputChunk => file.type === "chunk");
const handedAround = chunks.flatMap(({ moduleIds }) => moduleIds).filter((id) => /\/umd\//.test(id));
if (handedAround.length > 0)
  throw new Error(`${handedAround.join(", ")}: parts of it would be missing; name its modules in AS_MODULES`);
const parties = thirdParties(chunks.flatMap(({ moduleIds }) => moduleIds));
writeFileSync(join(root, "dist/third-parties.json"), `${JSON.stringify(parties, null, 2)}\n`);
writeFileSync(join(root, "dist/THIRD-PARTIES.txt"), thirdPartyNotices(parties));

/** An import that is not found would become one that fails at run time. */
function refuseUnresolved(): Plugin {
  return {
    name: "refuse-unresolved",
    onLog: (_level, { code, message }) => {
      if (code === "UNRESOLVED_IMPORT") throw new Error(message);
    },
  };
}
