import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { snapshotOfFleet } from "../../src/controller/observe/fleet-snapshots.ts";
import { generatedFleet, placementWorld } from "../../test/support/fleet/fleet-generator.ts";
import { machineLine, median } from "../support/report.ts";

/*
 * What small commands cost as whole processes, from `node` to the last byte, the processes of git that they start
 * among them; beside them the same of other built checkouts, and a node that does nothing. All of it in alternating rounds.
 * Build first: it is dist that runs. The first start of each is not counted: it fills the compile cache.
 */

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "15" },
    beside: { type: "string", multiple: true, default: [] },
    /** Without the compile cache, as at the first start on a machine. */
    cold: { type: "boolean", default: false },
  },
});
const HERE = fileURLToPath(new URL("../..", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "cortex-bench-cli-"));

/** A repository of one commit with a fleet of so many, and a snapshot of its neurons. */
function fleet(neurons: number, models: number): { readonly directory: string; readonly snapshot: string } {
  const directory = mkdtempSync(join(folder, "fleet-"));
  const sketch = generatedFleet({ neurons, models, load: 0.5, seed: 1 });
  const blocks = [
    '[fleet]\nname = "generated"\n',
    ...sketch.neurons.map(
      ({ name }) => `[[neurons]]\nname = "${name}"\nendpoint = "http://${name}.example:13131"\n`,
    ),
    ...sketch.models.map(
      ({ id, mib, replicas }) => `[[models]]\nid = "${id}"\nreplicas = ${replicas}\nvram_mb = ${mib ?? 1}\n`,
    ),
  ];
  writeFileSync(join(directory, "fleet.toml"), blocks.join("\n"));
  const world = placementWorld(sketch);
  const snapshot = join(folder, `${neurons}.json`);
  writeFileSync(snapshot, JSON.stringify(snapshotOfFleet(world.fleet.fleet.name, world.observed)));
  const git = (...args: string[]): Buffer =>
    execFileSync("git", [
      "-C",
      directory,
      "-c",
      "user.name=bench",
      "-c",
      "user.email=bench@localhost",
      ...args,
    ]);
  git("init", "--quiet");
  git("add", "fleet.toml");
  git("commit", "--quiet", "--message", "A fleet");
  return { directory, snapshot };
}

const least = (all: readonly number[]): number => Math.min(...all);

interface Run {
  readonly wallMs: number;
  readonly cpuMs: number;
}

/** Of the process and of all that it waited for. */
function run(argv: readonly string[]): Run {
  const timed = 'TIMEFORMAT="%3R %3U %3S"; time "$@" >/dev/null 2>&1';
  const said = execFileSync("bash", ["-c", `{ ${timed}; } 2>&1`, "bash", ...argv], {
    encoding: "utf8",
    env: {
      ...process.env,
      HOME: folder,
      CORTEX_DATA_DIR: folder,
      ...(values.cold ? { NODE_DISABLE_COMPILE_CACHE: "1" } : {}),
    },
  });
  const [wallSecs = 0, userSecs = 0, systemSecs = 0] = said.trim().split(" ").map(Number);
  return { wallMs: wallSecs * 1000, cpuMs: (userSecs + systemSecs) * 1000 };
}

const small = fleet(3, 6);
const large = fleet(16, 80);
const COMMANDS: Readonly<Record<string, readonly string[]>> = {
  "--version": ["--version"],
  "--help": ["--help"],
  "plan --help": ["plan", "--help"],
  "validate, 3 neurons, 6 models": ["validate", small.directory],
  "validate, 16 neurons, 80 models": ["validate", large.directory],
  "plan --against, 16 neurons, 80 models": ["plan", "--config", large.directory, "--against", large.snapshot],
};
const checkouts = [
  ["", HERE],
  ...values.beside.map((named) => {
    const [name = "", path = ""] = named.split("=");
    return [`, ${name}`, resolve(path)] as const;
  }),
] as const;
const rows = new Map<string, readonly string[]>([["node, nothing", [process.execPath, "--eval", "0"]]]);
for (const [command, args] of Object.entries(COMMANDS))
  for (const [name, path] of checkouts)
    rows.set(`${command}${name}`, [process.execPath, join(path, "bin/run.js"), ...args]);

const runs = new Map<string, Run[]>([...rows.keys()].map((name) => [name, []]));
for (const argv of rows.values()) run(argv);
for (let round = 0; round < Number(values.rounds); round += 1)
  for (const [name, argv] of rows) runs.get(name)?.push(run(argv));
rmSync(folder, { recursive: true, force: true });

console.log(
  `${values.cold ? "without compile cache; " : ""}${values.rounds} rounds; ${machineLine()}, Node ${process.version}`,
);
console.log(`${"".padEnd(46)} wall ms  least   CPU ms  least`);
for (const [name, of] of runs) {
  const cell = (pick: (values: readonly number[]) => number, field: keyof Run): string =>
    pick(of.map((one) => one[field])).toFixed(0);
  console.log(
    `${name.padEnd(46)} ${cell(median, "wallMs").padStart(7)} ${cell(least, "wallMs").padStart(6)} ${cell(median, "cpuMs").padStart(8)} ${cell(least, "cpuMs").padStart(6)}`,
  );
}
