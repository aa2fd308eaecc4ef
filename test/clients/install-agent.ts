import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Agent } from "./agents.ts";

const run = promisify(execFile);

/** Installs an agent into a folder of its own, once; returns the path of its program. */
export async function installAgent(name: string, agent: Agent, into: string): Promise<string> {
  const directory = join(into, name);
  const { from, name: packageName, version } = agent.package;
  const folder = from === "npm" ? "node_modules/.bin" : "bin";
  const binary = join(directory, folder, agent.binary);
  if (existsSync(join(directory, `installed-${version}`))) return binary;
  await mkdir(directory, { recursive: true });
  if (from === "npm") {
    await writeFile(join(directory, "package.json"), '{"private": true}\n');
    const flags = ["--no-audit", "--no-fund", "--save-exact"];
    await run("npm", ["install", ...flags, `${packageName}@${version}`], { cwd: directory });
  } else {
    await run("python3", ["-m", "venv", directory]);
    const wanted = [`${packageName}==${version}`, ...(agent.besides ?? [])];
    await run(join(directory, "bin/pip"), ["install", "--quiet", ...wanted], { cwd: directory });
  }
  await writeFile(join(directory, `installed-${version}`), "");
  return binary;
}
