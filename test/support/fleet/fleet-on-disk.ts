import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** A directory that goes away with the test: `await using directory = await temporaryDirectory()`. */
export async function temporaryDirectory(): Promise<{ readonly path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), "cortex-test-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

export interface FleetOnDisk {
  readonly gatewayPort: number;
  readonly metricsPort: number;
  /** Neuron names and ports. */
  readonly neurons: Readonly<Record<string, number>>;
  /** The `[[models]]` blocks and whatever else belongs into the file. */
  readonly models: string;
}

/** The text of one-file fleet. */
export function fleetText(fleet: FleetOnDisk): string {
  const neurons = Object.entries(fleet.neurons).map(
    ([name, port]) => `[[neurons]]\nname = "${name}"\nendpoint = "http://127.0.0.1:${port}"\n`,
  );
  return `[fleet]
name = "test"

[gateway]
listen = "127.0.0.1:${fleet.gatewayPort}"
metrics_listen = "127.0.0.1:${fleet.metricsPort}"

${neurons.join("\n")}
${fleet.models}
`;
}

/** Git with nothing from the machine's own configuration. */
export async function git(directory: string, ...commandLine: string[]): Promise<string> {
  const identity = [
    "-c",
    "user.name=test",
    "-c",
    "user.email=test@localhost.invalid",
    "-c",
    "commit.gpgsign=false",
  ];
  const { stdout } = await run("git", [...identity, ...commandLine], {
    cwd: directory,
    env: { PATH: process.env["PATH"], GIT_CONFIG_GLOBAL: "/dev/null", GIT_CONFIG_NOSYSTEM: "1" },
  });
  return stdout.trim();
}

/** Writes the fleet into a new git repository at `directory` and commits it; returns the commit. */
export async function commitFleet(directory: string, text: string): Promise<string> {
  await writeFile(join(directory, "fleet.toml"), text);
  await git(directory, "init", "--quiet", "--initial-branch=main");
  await git(directory, "add", "--all");
  await git(directory, "commit", "--quiet", "--message", "fleet");
  return git(directory, "rev-parse", "HEAD");
}
